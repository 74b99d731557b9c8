package completiontest

import (
	"errors"
	"os"
	"runtime"
	"sync/atomic"

	"fwx/framework/completion"
)

// overlappedRows are rows C1 to C15 and C17 of the SDK.
var overlappedRows = []row{
	{name: "C1 one notification, success or failure", test: oneNotification},
	{name: "C2 1000 operations with one completion object", test: oneObject},
	{name: "C3 the overlapped is the one that was started", test: restart},
	{name: "C4 bytes and error", test: bytesAndError},
	{name: "C5 order of set-up", test: setUp},
	{name: "C6 a handle that is not hooked, or closed", test: notHooked},
	{name: "C7 never inside the starting call", test: neverInline},
	{name: "C8 no notification after a start that failed", test: failedStart},
	{name: "C9 the offset is honoured and not advanced", test: offsets},
	{name: "C10 end of file", test: endOfFile},
	{name: "C11 cancel: one notification, or not found", test: cancelRace},
	{name: "C12 nothing is collected before the notification", test: collected},
	{name: "C13 hook once, until closed", test: hookOnce},
	{name: "C14 first in, first out on one worker", test: fifoOrder},
	{name: "C15 a panic does not lose other completions", test: panicAmongOthers},
	{name: "C17/a task for any worker", test: taskForAny, options: completion.Options{Workers: 3}},
	{name: "C17 a task runs once, on a worker, never inside the call", test: taskOnce},
}

func oneNotification(r *rig) {
	h := r.file(r.content([]byte("x")), os.O_RDONLY)
	r.op().begin(reading(h, 0, make([]byte, 1))).ok()
	if res := r.op().begin(writing(h, 0, []byte("x"))).wait(); !errors.Is(res.err, errBadDescriptor) {
		r.Errorf("a write to a file open for reading: %v", res.err)
	}
}

// shared is one completion object for many operations.
type shared struct {
	r     *rig
	seen  map[*completion.Overlapped]int
	left  int
	done  chan struct{}
	wants map[*completion.Overlapped]int
}

func (s *shared) CompleteAsyncIO(_ bool, _ int, err error, o *completion.Overlapped, user any) {
	if err != nil || user != s.wants[o] || o.Data()[0] != byte(s.wants[o]) {
		s.r.Errorf("operation %v of %v: %v, data %v", user, s.wants[o], err, o.Data())
	}
	s.seen[o]++
	if s.left--; s.left == 0 {
		close(s.done)
	}
}

func oneObject(r *rig) {
	const n = 1000
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i)
	}
	h := r.file(r.content(data), os.O_RDONLY)
	s := &shared{r: r, left: n, done: make(chan struct{}), seen: make(map[*completion.Overlapped]int), wants: make(map[*completion.Overlapped]int)}
	r.on(func() {
		for i := range n {
			o := r.w.CreateOverlapped()
			s.wants[o] = i
			err := o.SetNotificationInterface(s, i)
			if err == nil {
				err = reading(h, int64(i), make([]byte, 1))(o)
			}
			if err != nil {
				r.Error(err)
			}
		}
	})
	receive(r, s.done)
	r.on(func() {
		for o := range s.wants {
			if s.seen[o] != 1 {
				r.Errorf("operation %d: %d notifications", s.wants[o], s.seen[o])
			}
		}
	})
}

// restart starts an overlapped again and again from within its notification.
func restart(r *rig) {
	const times = 500
	h := r.file(r.content([]byte("x")), os.O_RDONLY)
	p := r.op()
	buf, done, n := make([]byte, 1), make(chan error, 1), 0
	p.then = func(res result) {
		n++
		if res.err == nil && n < times {
			res.err = p.start(reading(h, 0, buf))
			if res.err == nil {
				return
			}
		}
		done <- res.err
	}
	p.begin(reading(h, 0, buf))
	r.must(receive(r, done))
}

func bytesAndError(r *rig) {
	h := r.file(r.content([]byte("12345")), os.O_RDWR)
	if res := r.op().begin(writing(h, 0, []byte("abc"))).ok(); res.n != 3 {
		r.Errorf("wrote %d bytes", res.n)
	}
	if res := r.op().begin(reading(h, 0, make([]byte, 9))).ok(); res.n != 5 {
		r.Errorf("read %d bytes", res.n)
	}
	folder := r.file(r.TempDir(), os.O_RDONLY)
	if res := r.op().begin(reading(folder, 0, make([]byte, 9))).wait(); res.err == nil || res.n != 0 {
		r.Errorf("a read of a directory: %d bytes, %v", res.n, res.err)
	}
}

func setUp(r *rig) {
	h := r.file(r.content([]byte("x")), os.O_RDONLY)
	p := r.op()
	r.on(func() {
		o := r.w.CreateOverlapped()
		if _, err := o.GetOverlapped(); !errors.Is(err, completion.ErrNoNotification) {
			r.Errorf("GetOverlapped without a notification: %v", err)
		}
		if err := h.Sync(o); !errors.Is(err, completion.ErrNoNotification) {
			r.Errorf("a start without a notification: %v", err)
		}
		if err := o.SetNotificationInterface(nil, nil); !errors.Is(err, completion.ErrInvalidArgument) {
			r.Errorf("no notification: %v", err)
		}
		if err := p.start(reading(h, 0, make([]byte, 1))); err != nil {
			r.Error(err)
		}
		if _, err := p.o.GetOverlapped(); !errors.Is(err, completion.ErrBusy) {
			r.Errorf("GetOverlapped in flight: %v", err)
		}
		if err := p.o.SetNotificationInterface(p, nil); !errors.Is(err, completion.ErrBusy) {
			r.Errorf("SetNotificationInterface in flight: %v", err)
		}
		if err := p.start(h.Sync); !errors.Is(err, completion.ErrBusy) {
			r.Errorf("a second start: %v", err)
		}
	})
	p.ok()
}

func notHooked(r *rig) {
	var zero completion.Handle
	r.is(r.op().try(reading(&zero, 0, make([]byte, 1))), completion.ErrHandleClosed)
	h := r.file(r.content([]byte("x")), os.O_RDONLY)
	r.close(h)
	r.is(r.op().try(reading(h, 0, make([]byte, 1))), completion.ErrHandleClosed)
	r.is(r.op().try(writing(h, 0, []byte("x"))), completion.ErrHandleClosed)
	r.is(r.op().try(h.Sync), completion.ErrHandleClosed)
	r.on(func() {
		if err := h.Close(); !errors.Is(err, completion.ErrHandleClosed) {
			r.Errorf("a second Close: %v", err)
		}
	})
}

// neverInline starts operations that could end at once; the rig notices a
// notification within a start.
func neverInline(r *rig) {
	a, b := r.pair()
	h := r.file(r.content([]byte("x")), os.O_RDWR)
	ops := []*op{r.op(), r.op(), r.op(), r.op()}
	for range 100 {
		r.on(func() {
			for i, begin := range []func(*completion.Overlapped) error{sending(a, []byte("x")), b.Recv, reading(h, 0, make([]byte, 1)), h.Sync} {
				if err := ops[i].start(begin); err != nil {
					r.Error(err)
				}
			}
		})
		for _, p := range ops {
			p.ok()
		}
	}
}

func failedStart(r *rig) {
	h := r.file(r.content([]byte("x")), os.O_RDONLY)
	r.is(r.op().try(reading(h, -1, make([]byte, 1))), completion.ErrInvalidArgument)
	r.is(r.op().try(reading(h, 0, nil)), completion.ErrInvalidArgument)
	r.is(r.op().try(func(*completion.Overlapped) error { return h.ReadFile(nil, make([]byte, 1)) }), completion.ErrInvalidArgument)
	r.is(r.op().try(func(*completion.Overlapped) error { return h.ReadFile(&completion.OVERLAPPED{}, make([]byte, 1)) }), completion.ErrInvalidArgument)
	r.is(r.op().try(func(*completion.Overlapped) error { return h.Sync(nil) }), completion.ErrInvalidArgument)
}

func offsets(r *rig) {
	h := r.file(r.content(nil), os.O_RDWR)
	p := r.op()
	for _, offset := range []int64{5 << 30, 0, 1 << 20} { // sparse: past 4 GiB first
		p.begin(writing(h, offset, []byte("here"))).ok()
		r.on(func() {
			if ov, err := p.o.GetOverlapped(); err != nil || ov.Offset != offset {
				r.Errorf("offset %d, %v; want %d", ov.Offset, err, offset)
			}
		})
		buf := make([]byte, 4)
		if res := p.begin(reading(h, offset, buf)).ok(); string(buf) != "here" {
			r.Errorf("at %d: %d bytes, %q", offset, res.n, buf)
		}
	}
	buf := make([]byte, 8)
	p.begin(reading(h, 2<<20, buf)).ok() // the hole
	r.same(buf, 0)
}

// cancelRace cancels operations of which some have ended.
func cancelRace(r *rig) {
	h := r.file(r.content(make([]byte, 64<<10)), os.O_RDWR)
	for range 200 {
		p := r.op()
		r.on(func() {
			if err := p.start(reading(h, 0, make([]byte, 64<<10))); err != nil {
				r.Error(err)
			}
			if err := p.o.Cancel(); err != nil && !errors.Is(err, completion.ErrNotFound) {
				r.Error(err)
			}
		})
		if res := p.wait(); res.err != nil && !errors.Is(res.err, completion.ErrOperationAborted) {
			r.Errorf("a cancelled read: %v", res.err)
		}
		r.is(p.cancel(), completion.ErrNotFound)
	}
}

// collected keeps no reference to what the port has to keep alive.
func collected(r *rig) {
	const n = 200
	h := r.file(r.content(make([]byte, 4096)), os.O_RDWR)
	var completed, early atomic.Int32
	r.on(func() {
		for range n {
			o := r.w.CreateOverlapped()
			guard := &struct{ pending atomic.Bool }{}
			guard.pending.Store(true)
			runtime.AddCleanup(o, func(g *struct{ pending atomic.Bool }) {
				if g.pending.Load() {
					early.Add(1)
				}
			}, guard)
			err := o.SetNotificationInterface(completion.CompletionFunc(func(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
				if err != nil {
					r.Error(err)
				}
				runtime.KeepAlive(o)
				guard.pending.Store(false)
				completed.Add(1)
			}), nil)
			if err == nil {
				err = reading(h, 0, make([]byte, 4096))(o)
			}
			if err != nil {
				r.Error(err)
			}
		}
		runtime.GC()
	})
	r.eventually("all have completed", func() bool {
		runtime.GC()
		return completed.Load() == n
	})
	if early.Load() > 0 {
		r.Errorf("%d overlapped were collected before their notification", early.Load())
	}
}

func hookOnce(r *rig) {
	name := r.content([]byte("x"))
	fd := r.openFD(name, os.O_RDONLY)
	h := r.hook(fd)
	other := newRig(r.TB, r.open, completion.Options{})
	for _, w := range []*completion.Worker{r.w, other.w} {
		r.onWorker(w, func() {
			if _, err := w.HookToCompletionPort(fd); !errors.Is(err, completion.ErrAlreadyHooked) {
				r.Errorf("a second hook: %v", err)
			}
		})
	}
	r.op().begin(reading(h, 0, make([]byte, 1))).ok()
	r.close(h)
	r.hook(r.openFD(name, os.O_RDONLY)) // most likely the same number
	r.on(func() {
		if _, err := r.w.HookToCompletionPort(1 << 20); !errors.Is(err, errBadDescriptor) {
			r.Errorf("hook of a descriptor that is not open: %v", err)
		}
	})
}

// fifoOrder posts tasks, and ends operations at once, in an order.
func fifoOrder(r *rig) {
	const n = 200
	var order []int
	for i := range n {
		r.must(r.w.Post(func() { order = append(order, i) }))
	}
	r.on(func() {})
	for i, got := range order {
		if got != i {
			r.Fatalf("task %d ran as number %d", got, i)
		}
	}
	if len(order) != n {
		r.Fatalf("%d of %d tasks have run", len(order), n)
	}
}

func panicAmongOthers(r *rig) {
	const n = 50
	h := r.file(r.content([]byte("x")), os.O_RDONLY)
	good, bad := r.someOps(n), r.someOps(n)
	for _, p := range bad {
		p.then = func(result) { panic("on purpose") }
	}
	r.on(func() {
		for i := range n {
			for _, p := range []*op{bad[i], good[i]} {
				if err := p.start(reading(h, 0, make([]byte, 1))); err != nil {
					r.Error(err)
				}
			}
		}
	})
	for _, p := range good {
		p.ok()
	}
	r.eventually("the panics are counted", func() bool { return r.port.Panics() == n })
}

// userTask is a task that is told its user context.
type userTask chan any

func (t userTask) CompleteTask(user any) { t <- user }

func taskOnce(r *rig) {
	task := make(userTask, 8)
	r.must(r.w.PostTaskCompletion(task, 42))
	if user := receive(r, task); user != 42 {
		r.Errorf("user context %v", user)
	}
	r.is(r.w.PostTaskCompletion(nil, nil), completion.ErrInvalidArgument)
	r.on(func() {
		if err := r.w.PostTaskCompletion(task, nil); err != nil {
			r.Error(err)
		}
		if len(task) > 0 {
			r.Error("the task ran inside the call")
		}
	})
	receive(r, task)
	r.shutdown()
	if len(task) > 0 {
		r.Error("the task ran twice")
	}
}

// taskForAny posts tasks to the port: the workers take turns.
func taskForAny(r *rig) {
	const each = 100
	workers := r.port.Workers()
	task := make(userTask, each*len(workers))
	release, begun := make(chan struct{}), make(chan struct{})
	r.must(workers[0].Post(func() {
		close(begun)
		<-release
	}))
	receive(r, begun)
	for i := range cap(task) {
		r.must(r.port.PostTaskCompletion(task, i))
	}
	for _, w := range workers[1:] {
		r.onWorker(w, func() {}) // behind its tasks
	}
	if n := len(task); n != each*(len(workers)-1) {
		r.Errorf("%d tasks of %d have run while one of %d workers blocks", n, cap(task), len(workers))
	}
	close(release)
	seen := make(map[any]bool)
	for range cap(task) {
		seen[receive(r, task)] = true
	}
	if len(seen) != cap(task) {
		r.Errorf("%d tasks of %d have run", len(seen), cap(task))
	}
	r.is(r.port.PostTaskCompletion(nil, nil), completion.ErrInvalidArgument)
	r.shutdown()
	r.is(r.port.PostTaskCompletion(task, nil), completion.ErrPortClosed)
}
