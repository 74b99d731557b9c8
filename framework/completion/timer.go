package completion

import "time"

// Timer calls a function on its worker at a time. Its zero value is not
// usable; Worker.NewTimer makes one, unarmed. A stopped timer costs nothing.
// Like everything of a worker it is used on that worker only.
type Timer struct {
	worker *Worker
	f      func()
	when   int64 // in nanoseconds of the worker's clock
	index  int   // in the heap; -1: not armed
}

// NewTimer returns a timer that calls f; Reset arms it.
func (w *Worker) NewTimer(f func()) *Timer { return &Timer{worker: w, f: f, index: -1} }

// AfterFunc calls f after d.
func (w *Worker) AfterFunc(d time.Duration, f func()) *Timer {
	t := w.NewTimer(f)
	t.Reset(d)
	return t
}

// Reset arms the timer to fire after d from now, whether or not it was armed.
// It never fires in the turn that armed it.
func (t *Timer) Reset(d time.Duration) {
	t.worker.checkThread()
	t.when = t.worker.now + max(int64(d), 1)
	if t.index < 0 {
		t.worker.timers.push(t)
		return
	}
	t.worker.timers.fix(t.index)
}

// Stop disarms the timer; it reports whether it was armed.
func (t *Timer) Stop() bool {
	t.worker.checkThread()
	if t.index < 0 {
		return false
	}
	t.worker.timers.remove(t.index)
	return true
}

// Armed reports whether the timer will fire.
func (t *Timer) Armed() bool { return t.index >= 0 }

// timerHeap is a heap of four children a node, ordered by time: flatter than a
// binary one, and each timer knows its place, so that stopping is cheap.
type timerHeap []*Timer

const heapArity = 4

func (h *timerHeap) push(t *Timer) {
	*h = append(*h, t)
	t.index = len(*h) - 1
	h.up(t.index)
}

func (h *timerHeap) remove(i int) {
	old := *h
	last := len(old) - 1
	old[i].index = -1
	if i != last {
		old[i] = old[last]
		old[i].index = i
	}
	old[last] = nil
	*h = old[:last]
	if i != last {
		h.fix(i)
	}
}

// clear disarms every timer.
func (h *timerHeap) clear() {
	for _, t := range *h {
		t.index = -1
	}
	*h = nil
}

func (h *timerHeap) fix(i int) {
	if !h.down(i) {
		h.up(i)
	}
}

func (h timerHeap) up(i int) {
	t := h[i]
	for i > 0 {
		parent := (i - 1) / heapArity
		if h[parent].when <= t.when {
			break
		}
		h[i] = h[parent]
		h[i].index = i
		i = parent
	}
	h[i] = t
	t.index = i
}

// down moves the timer at i towards the leaves; it reports whether it moved.
func (h timerHeap) down(i int) bool {
	t, start := h[i], i
	for {
		first := i*heapArity + 1
		if first >= len(h) {
			break
		}
		least := first
		for c := first + 1; c < min(first+heapArity, len(h)); c++ {
			if h[c].when < h[least].when {
				least = c
			}
		}
		if h[least].when >= t.when {
			break
		}
		h[i] = h[least]
		h[i].index = i
		i = least
	}
	h[i] = t
	t.index = i
	return i != start
}

// runTimers fires the timers that are due now, each at most once a turn: what
// is armed meanwhile is due after now.
func (w *Worker) runTimers() {
	var turn share
	for len(w.timers) > 0 && w.timers[0].when <= w.now && !turn.over(w) {
		t := w.timers[0]
		w.timers.remove(0)
		w.guard(t.f)
	}
}

// untilTimer returns how long the worker may wait: -1 without a timer.
func (w *Worker) untilTimer() time.Duration {
	if len(w.timers) == 0 {
		return -1
	}
	if d := time.Duration(w.timers[0].when - w.now); d > timerSlack {
		return d
	}
	return 0
}

// timerSlack is what passes in a turn anyway, and is not waited for.
const timerSlack = time.Microsecond
