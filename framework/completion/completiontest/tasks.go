package completiontest

import (
	"errors"
	"os"
	"sync"
	"time"

	"fwx/framework/completion"
)

var taskRows = []row{
	{name: "tasks/from many goroutines", test: manyPosts, options: completion.Options{Workers: 2}},
	{name: "tasks/blocking", test: blocking},
	{name: "tasks/a lane that hangs", test: hangingLane, options: completion.Options{FileThreads: 8}},
	{name: "tasks/two at once for one idle thread", test: oneIdleThread},
	{name: "timers/order", test: timerOrder},
	{name: "timers/stop and reset", test: timerStop},
	{name: "timers/many", test: manyTimers},
	{name: "timers/one that arms itself", test: timerArmsItself},
}

func manyPosts(r *rig) {
	const goroutines, posts = 8, 500
	counts := make([]int, len(r.port.Workers()))
	var posters sync.WaitGroup
	for range goroutines {
		posters.Go(func() {
			for range posts {
				for i, w := range r.port.Workers() {
					if err := w.Post(func() { counts[i]++ }); err != nil {
						r.Error(err)
					}
				}
			}
		})
	}
	posters.Wait()
	r.shutdown()
	for i, n := range counts {
		if n != goroutines*posts {
			r.Errorf("worker %d ran %d tasks of %d", i, n, goroutines*posts)
		}
	}
}

func (r *rig) blocking(f func() (any, error)) func(*completion.Overlapped) error {
	return func(o *completion.Overlapped) error { return o.Worker().RunBlocking(o, f) }
}

func blocking(r *rig) {
	errOwn := errors.New("own")
	if res := r.op().begin(r.blocking(func() (any, error) { return 7, nil })).ok(); res.value != 7 {
		r.Errorf("value %v", res.value)
	}
	r.is(r.op().begin(r.blocking(func() (any, error) { return nil, errOwn })).wait().err, errOwn)
	if res := r.op().begin(r.blocking(func() (any, error) { panic("on purpose") })).wait(); res.err == nil {
		r.Error("a panic is a success")
	}
}

// hangingLane has more tasks hang than their lane has threads: files go on,
// and what has not begun can be cancelled.
func hangingLane(r *rig) {
	release := make(chan struct{})
	begun := make(chan struct{}, 100)
	tasks := r.someOps(10)
	for _, p := range tasks {
		p.begin(r.blocking(func() (any, error) {
			begun <- struct{}{}
			<-release
			return nil, nil
		}))
	}
	receive(r, begun)
	receive(r, begun)
	h := r.file(r.content([]byte("x")), os.O_RDWR)
	r.op().begin(reading(h, 0, make([]byte, 1))).ok()
	r.op().begin(writing(h, 0, []byte("x"))).ok()
	r.op().begin(h.Sync).ok()
	if len(begun) > 0 {
		r.Errorf("a lane has %d threads of 8", 2+len(begun))
	}
	last := tasks[len(tasks)-1]
	r.must(last.cancel())
	last.aborted()
	close(release)
	for _, p := range tasks[:len(tasks)-1] {
		p.ok()
	}
}

// oneIdleThread has a second operation come while the only idle thread is
// being woken for a first, which hangs.
func oneIdleThread(r *rig) {
	r.op().begin(r.blocking(func() (any, error) { return nil, nil })).ok()
	release := make(chan struct{})
	hangs, opens := r.op(), r.op()
	name := r.content(nil)
	r.on(func() {
		err := hangs.start(r.blocking(func() (any, error) {
			<-release
			return nil, nil
		}))
		if err == nil {
			err = opens.start(func(o *completion.Overlapped) error { return r.w.OpenFile(o, nil, name, os.O_RDONLY, 0) })
		}
		if err != nil {
			r.Error(err)
		}
	})
	opens.ok()
	close(release)
	hangs.ok()
}

func timerOrder(r *rig) {
	type firing struct{ due, took time.Duration }
	fired := make(chan firing, 10)
	r.on(func() {
		armed := r.w.Now()
		for _, ms := range []int{30, 10, 20, 0} {
			due := time.Duration(ms) * time.Millisecond
			r.w.AfterFunc(due, func() { fired <- firing{due, r.w.Now() - armed} })
		}
	})
	for _, want := range []int{0, 10, 20, 30} {
		got := receive(r, fired)
		if got.due != time.Duration(want)*time.Millisecond {
			r.Errorf("the timer of %v fired when that of %d ms was due", got.due, want)
		}
		if got.took < got.due {
			r.Errorf("%v took %v", got.due, got.took)
		}
	}
}

func timerStop(r *rig) {
	fired := make(chan string, 10)
	r.on(func() {
		stopped := r.w.AfterFunc(time.Millisecond, func() { fired <- "stopped" })
		if !stopped.Armed() || !stopped.Stop() || stopped.Stop() || stopped.Armed() {
			r.Error("Stop does not tell whether the timer was armed")
		}
		later := r.w.AfterFunc(time.Millisecond, func() { fired <- "later" })
		later.Reset(30 * time.Millisecond)
		sooner := r.w.AfterFunc(time.Hour, func() { fired <- "sooner" })
		sooner.Reset(15 * time.Millisecond)
		again := r.w.NewTimer(func() { fired <- "again" })
		again.Reset(time.Hour)
		again.Stop()
		again.Reset(0)
	})
	for _, want := range []string{"again", "sooner", "later"} {
		if got := receive(r, fired); got != want {
			r.Errorf("%q fired when %q was due", got, want)
		}
	}
}

func manyTimers(r *rig) {
	const n = 10_000
	done := make(chan struct{})
	r.on(func() {
		left, last := n, time.Duration(0)
		timers := make([]*completion.Timer, 0, 2*n)
		for i := range 2 * n {
			d := time.Duration(i*7919%n) * time.Microsecond
			timers = append(timers, r.w.AfterFunc(d, func() {
				if last = max(last, d); d < last {
					r.Errorf("a timer of %v fired after one of %v", d, last)
				}
				if left--; left == 0 {
					close(done)
				}
			}))
		}
		for i, t := range timers {
			if i%2 == 1 {
				t.Stop()
			}
		}
	})
	receive(r, done)
}

// timerArmsItself must not keep the worker from anything else.
func timerArmsItself(r *rig) {
	after := time.Duration(0)
	if r.kit != nil && r.kit.setup.Bubble {
		after = time.Microsecond // a clock that stands still while somebody is busy moves by that
	}
	r.on(func() {
		var t *completion.Timer
		t = r.w.NewTimer(func() { t.Reset(after) })
		t.Reset(after)
	})
	a, b := r.pair()
	recv := r.op().begin(b.Recv)
	r.op().begin(sending(a, []byte("x"))).ok()
	recv.ok()
}
