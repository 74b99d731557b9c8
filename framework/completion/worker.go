package completion

import (
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Worker is one thread that takes completions off the port and runs their
// handlers, one at a time, each to its end. Everything that completes on a
// worker (its handles, sockets, overlapped operations, timers and buffers) is
// made, started, cancelled and closed on that worker, so none of it needs a
// lock. PostTaskCompletion, Post and Call lead there from other goroutines.
type Worker struct {
	port    *Port
	index   int
	backend backend
	logger  *slog.Logger

	now       int64 // nanoseconds since the port began, as of this turn
	ops       opTable
	ready     opQueue
	timers    timerHeap
	buffers   bufferPool
	watches   watches
	pipes     pipes
	heavy     heavy
	closing   bool
	disturbed bool // a signal ended the last wait
	thread    threadID
	test      testHooks

	// What other threads hand over.
	sleeping atomic.Bool
	remote   struct {
		sync.Mutex
		tasks  []postedTask
		ended  []*Overlapped
		closed bool
	}
	// What was taken over: those before the positions have run. The slices are
	// swapped with those of remote.
	tasks    []postedTask
	ended    []*Overlapped
	taskNext int
	endNext  int

	panics atomic.Uint64
	done   chan struct{}
}

// Index returns the worker's number in its port, from 0.
func (w *Worker) Index() int { return w.index }

// Port returns the port that w belongs to.
func (w *Worker) Port() *Port { return w.port }

// Now returns the time of the worker's clock, a monotonic count from the
// start of the port that is read once a turn.
func (w *Worker) Now() time.Duration { return time.Duration(w.now) }

// Operations returns how many operations are in flight on w, without those of
// the port itself. It is called on w.
func (w *Worker) Operations() int { return w.ops.counted }

// CreateOverlapped returns a new overlapped that completes on w
// (IFWXFirewall::CreateOverlapped).
func (w *Worker) CreateOverlapped() *Overlapped {
	o := &Overlapped{worker: w}
	o.ov.owner = o
	return o
}

// internalOverlapped returns an overlapped for an operation of the port itself.
func (w *Worker) internalOverlapped(notify ExternalIOCompletion) *Overlapped {
	o := w.CreateOverlapped()
	o.notify, o.internal = notify, true
	return o
}

// run is the life of a worker. It reports on started whether its backend
// could be set up.
func (w *Worker) run(open backendOpener, started chan<- error) {
	// An io_uring belongs to the thread that made it, and the fibres that run
	// on a worker must always find themselves on the same thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer scheduleInBatches()()
	defer close(w.done)
	defer giveProcessor()

	w.thread, w.heavy.home = currentThread(), osThread()
	b, err := open(w)
	if err != nil {
		started <- err
		return
	}
	w.backend = b
	started <- nil

	w.tick()
	for !w.finished() {
		w.turn()
	}
	w.closeAll()
	w.heavy.close()
	w.pipes.close()
	w.backend.close()
	w.buffers.free()
}

// turn runs what is due and then waits for completions. Each queue gets its share of the
// turn and goes on in the next, so that none can keep the others waiting.
func (w *Worker) turn() {
	w.runRemote()
	w.runTimers()
	var ready share
	for range readyPasses {
		w.runReady(&ready)
	}
	w.backend.wait(w.patience())
	w.tick()
	w.backend.reap()
}

// readyPasses is how often a turn looks for notifications that are due at once,
// those that the handlers before caused, before it asks the system for more.
const readyPasses = 4

func (w *Worker) tick() { w.now = int64(w.port.Uptime()) }

// patience returns how long the backend may wait for a completion: 0 when
// there is work already, -1 for ever.
func (w *Worker) patience() time.Duration {
	if !w.ready.empty() || w.hasTaken() || w.heavy.wanted() || w.finished() {
		return 0
	}
	return w.untilTimer()
}

// finished reports whether the worker has been shut down and everything it
// had accepted has ended.
func (w *Worker) finished() bool {
	return w.closing && len(w.heavy.out) == 0 && w.ops.inFlight == 0 && w.ready.empty() && w.backend.idle() && !w.hasRemote()
}

// hasEnded reports whether the worker has.
func (w *Worker) hasEnded() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

// check is what every start has to pass.
func (w *Worker) check(o *Overlapped, d *descriptor) error {
	w.checkThread()
	switch {
	case o == nil || o.worker != w:
		return ErrInvalidArgument
	case o.state != opIdle:
		return ErrBusy
	case o.notify == nil:
		return ErrNoNotification
	case w.closing && !o.internal:
		return ErrPortClosed
	case d != nil && d.closed:
		return ErrHandleClosed
	case w.ops.counted >= w.port.options.MaxOperations && !o.internal:
		return ErrTooManyOperations
	case w.test.faults != nil && !o.internal && w.test.faults.refuses(o, d):
		return ErrTooManyOperations
	}
	return nil
}

// begin makes o the operation op on d, if it passes the check. An error is the
// caller's to handle; the operation has not begun.
func (w *Worker) begin(o *Overlapped, d *descriptor, op opKind) error {
	if err := w.check(o, d); err != nil {
		return err
	}
	o.dropResult()
	o.state, o.op, o.desc = opInFlight, op, d
	o.cancelled, o.starved, o.held, o.done, o.bytes, o.err = false, false, nil, 0, 0, nil
	w.ops.add(o)
	if d != nil {
		d.add(o)
	}
	return nil
}

// end records the result of o and queues its notification.
func (w *Worker) end(o *Overlapped, n int, err error) {
	o.bytes, o.err, o.state = n, err, opReady
	w.ready.push(o)
}

// complete records the result of o and calls its notification at once. Only
// the worker's loop may do so, never a start.
func (w *Worker) complete(o *Overlapped, n int, err error) {
	o.bytes, o.err = n, err
	w.finish(o)
}

// finish gives up the worker's hold on o and calls its notification.
func (w *Worker) finish(o *Overlapped) {
	if w.test.faults != nil && w.test.faults.keeps(o) {
		return
	}
	d := o.desc
	w.settle(o)
	if o.pipe != nil {
		o.pipe.ended()
	}
	o.state, o.desc, o.task, o.pipe, o.gather = opIdle, nil, nil, nil, nil
	if o.op != opRead && o.op != opReadStream {
		o.buf = nil
	}
	w.ops.remove(o)
	if d != nil {
		d.remove(o)
	}
	w.notify(o)
	if d != nil && d.closed {
		d.closeWhenIdle()
	}
}

// settle does what is left of an operation to be done on its worker.
func (w *Worker) settle(o *Overlapped) {
	switch o.op {
	case opOpen:
		w.settleOpen(o)
	case opOpenAppender:
		w.settleAppender(o)
	case opWatch:
		w.settleWatch(o)
	case opConnect:
		w.settleConnect(o)
	default: // nothing
	}
}

// runReady calls the notifications that were queued before this turn; what
// they start and end at once waits for the next, so that no one connection
// can keep the others waiting.
func (w *Worker) runReady(turn *share) {
	last, handovers := w.ready.last, w.heavy.handovers
	for !w.ready.empty() && !turn.over(w) {
		o := w.ready.pop()
		w.finish(o)
		if o == last || w.heavy.handovers != handovers {
			return
		}
	}
}

func (w *Worker) cancel(o *Overlapped) {
	w.checkThread()
	if o.held != nil {
		if o.held.Withdraw(o) {
			o.held = nil
			w.end(o, 0, ErrOperationAborted)
		}
		return
	}
	if w.buffers.waiting.remove(o) {
		w.end(o, 0, ErrOperationAborted)
		return
	}
	w.backend.cancel(o)
}

// notify calls the handler of o. A panic in it is logged and ends there.
func (w *Worker) notify(o *Overlapped) {
	defer func() {
		r := recover()
		w.heavy.returned()
		if w.recovered(r) && o.state == opIdle {
			o.dropResult()
		}
	}()
	o.notify.CompleteAsyncIO(o.err == nil, o.bytes, o.err, o, o.user)
}

// guard runs f; a panic in it is logged and ends there.
func (w *Worker) guard(f func()) {
	defer func() {
		r := recover()
		w.heavy.returned()
		w.recovered(r)
	}()
	f()
}

// recovered logs a panic; it reports whether there was one.
func (w *Worker) recovered(r any) bool {
	if r == nil {
		return false
	}
	w.logger.Error("a completion handler panicked", "worker", w.index, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
	w.panics.Add(1)
	return true
}

// shutdown cancels everything that is in flight; the loop ends when it has drained.
func (w *Worker) shutdown() {
	w.closing = true
	for _, o := range w.ops.slots {
		if o != nil && o.state == opInFlight && !o.internal {
			_ = o.Cancel() // in flight, so there is something to cancel
		}
	}
	w.timers.clear()
	w.flushAppenders()
	w.watches.shutdown()
	w.backend.shutdown()
	w.remote.Lock()
	w.remote.closed = true
	w.remote.Unlock()
}

// opTable holds every operation in flight. It is what keeps an overlapped and
// its buffer alive while only the kernel knows of them, and it gives each a
// number for the kernel to hand back: a slot, and a generation so that a late
// answer for an earlier operation is told apart.
type opTable struct {
	slots       []*Overlapped
	generations []uint32
	unused      []uint32
	inFlight    int
	counted     int // in flight, without those of the port itself
}

func (t *opTable) add(o *Overlapped) {
	t.inFlight++
	if !o.internal {
		t.counted++
	}
	if n := len(t.unused); n > 0 {
		o.slot = t.unused[n-1]
		t.unused = t.unused[:n-1]
	} else {
		o.slot = uint32(len(t.slots))
		t.slots = append(t.slots, nil)
		t.generations = append(t.generations, 0)
	}
	t.slots[o.slot] = o
}

func (t *opTable) remove(o *Overlapped) {
	t.inFlight--
	if !o.internal {
		t.counted--
	}
	t.slots[o.slot] = nil
	t.generations[o.slot]++
	t.unused = append(t.unused, o.slot)
}

// find returns the operation with this number, nil if it has ended.
func (t *opTable) find(slot, generation uint32) *Overlapped {
	if int(slot) >= len(t.slots) || t.generations[slot]&generationMask != generation {
		return nil
	}
	return t.slots[slot]
}

const generationMask = 1<<24 - 1
