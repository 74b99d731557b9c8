package scripting

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/completion"
)

var (
	// errConnectionEnded is raised by the call in which a handler waits when
	// its connection ends.
	errConnectionEnded = errors.New("connection ended")
	// errScriptEnded is raised by every call that waits when the filter ends.
	errScriptEnded = errors.New("the filter is shutting down")
	// errTooLong is raised in an on_close that keeps its connection too long.
	errTooLong = errors.New("the handler took too long")
)

// task is what a Lua function is run for on a fiber.
type task struct {
	name string // of the handler, for logs
	conn *conn  // on whose behalf; nil: the script's own
	end  ending // told when it has returned or failed

	scheduled bool // by the script when it began, and not for a connection or a file that has changed
}

// ending is told the result of a task, on the worker's loop.
type ending interface {
	taskEnded(result lua.LValue, err error)
}

// endingFunc lets a function be an ending.
type endingFunc func(result lua.LValue, err error)

func (f endingFunc) taskEnded(result lua.LValue, err error) { f(result, err) }

// fiber is what handlers run on: a coroutine of Go, with a Lua thread of its own.
// Waiting for an operation means to switch back to the worker's loop, with all of
// the stack kept, that of the interpreter included; when the operation completes
// the loop switches here again and the call returns. So a handler can wait
// anywhere: in a pcall, a metamethod, an iterator or a coroutine of its own.
//
// A switch is no business of Go's scheduler, because the worker's goroutine is
// locked to its thread: everything here runs on that one thread, one at a time.
type fiber struct {
	state  *state
	thread *lua.LState
	next   func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool

	task    task
	nargs   int  // of its function, which are on the thread's stack until it begins
	done    bool // the task has ended
	parked  bool
	waited  bool // parked since the task began
	result  lua.LValue
	err     error
	aborted error  // what waiting raises from now on
	limits  *limit // on its waiting, the innermost first

	protections *protection // the innermost first

	// While others run.
	left    int64       // of the instructions of this turn
	reserve int64       // instructions for the turns after it
	current *lua.LState // the thread that ran: a coroutine of the script, perhaps

	// What it waits for.
	op      *completion.Overlapped
	waiting *completion.Overlapped // op, while it is in flight
	sleep   *completion.Timer
	inquiry *inquiry      // of the store
	since   time.Duration // when it was parked, on the worker's clock
	parks   uint          // how often it has been parked, so that a wake that comes late is told
	n       int
	opErr   error
}

func newFiber(s *state) *fiber {
	f := &fiber{state: s}
	f.thread, _ = s.L.NewThread() // the main thread has no context to cancel
	f.thread.SetContext(&s.meter)
	parts.shareBoxes(f.thread, s.L)
	f.next, f.stop = iter.Pull(f.run)
	return f
}

// run is the life of the coroutine: one task after the other.
func (f *fiber) run(yield func(struct{}) bool) {
	f.yield = yield
	for {
		f.execute()
		f.done = true
		if !yield(struct{}{}) {
			return
		}
	}
}

// execute runs the task. A panic of the interpreter ends the task only.
func (f *fiber) execute() {
	defer func() {
		if r := recover(); r != nil {
			f.result, f.err = lua.LNil, fmt.Errorf("the interpreter failed: %v", r)
		}
	}()
	t := f.thread
	f.result = lua.LNil
	f.err = overflow(t, t.PCall(f.nargs, 1, nil))
	if f.err == nil {
		f.result = t.Get(-1)
	}
	t.SetTop(0)
}

// await starts an operation and waits until it has completed. An error of
// waiting itself is raised.
func (s *state) await(L *lua.LState, start func(*completion.Overlapped) error) (n int, value any, err error) {
	return s.awaitUnless(L, func(o *completion.Overlapped) (bool, error) { return false, start(o) })
}

// awaitUnless is await for an operation that may be done at once.
func (s *state) awaitUnless(L *lua.LState, start func(*completion.Overlapped) (done bool, err error)) (n int, value any, err error) {
	f := s.fiberOf(L)
	n, value, err = f.perform(start)
	f.raiseInterrupted(L)
	return n, value, err
}

// perform is awaitUnless with an error where that would raise one: for what must
// tidy up first, or has frames of others between itself and the script.
func (f *fiber) perform(start func(*completion.Overlapped) (done bool, err error)) (n int, value any, err error) {
	s := f.state
	if err := f.interrupted(); err != nil {
		return 0, nil, err
	}
	if f.op == nil || f.op.InFlight() {
		f.op = s.worker.CreateOverlapped()
		if err := f.op.SetNotificationInterface((*fiberOperation)(f), nil); err != nil {
			return 0, nil, err
		}
	}
	o := f.op
	if done, err := start(o); done || err != nil {
		return 0, nil, err
	}
	f.waiting = o
	f.park()
	if o.InFlight() { // its limit has expired: it ends without us
		return 0, nil, f.interrupted()
	}
	value = o.TakeValue()
	o.TakeData() // who waited has the buffer
	if err := f.interrupted(); err != nil {
		s.discard(value)
		return 0, nil, err
	}
	return f.n, value, f.opErr
}

// fiberOf returns the fiber that runs, after the check that it may wait.
func (s *state) fiberOf(L *lua.LState) *fiber {
	f := s.running
	if f == nil {
		L.RaiseError("nothing can be waited for here")
	}
	f.raiseInterrupted(L)
	return f
}

// awaitTimer waits for a time.
func (s *state) awaitTimer(L *lua.LState, d time.Duration) {
	f := s.fiberOf(L)
	if f.sleep == nil {
		f.sleep = s.worker.NewTimer(f.wake)
	}
	s.expire(f)
	f.raiseInterrupted(L)
	f.sleep.Reset(d)
	f.park()
	f.raiseInterrupted(L)
}

// parkAt waits for whoever finds the fiber in the place and wakes it.
func (f *fiber) parkAt(place **fiber) error {
	if err := f.interrupted(); err != nil {
		return err
	}
	*place = f
	f.park()
	*place = nil
	return f.interrupted()
}

// interrupted says why a fiber must not wait any more; nil: it may.
func (f *fiber) interrupted() error {
	if f.aborted == nil && f.task.conn != nil && f.task.conn.over() && f.task.name != handlerClose {
		f.aborted = errConnectionEnded
	}
	if f.aborted != nil {
		return f.aborted
	}
	return f.limits.expiry()
}

// raiseInterrupted raises the error of a fiber that must not wait any more.
func (f *fiber) raiseInterrupted(L *lua.LState) {
	if err := f.interrupted(); err != nil {
		L.RaiseError("%s", err.Error())
	}
}

// waitCost is the instructions that a wait counts as: it takes the time of so many.
const waitCost = 100

// endless is the instructions of a task of the script's own, which may run for ever.
const endless = math.MaxInt64 / 2

// budget gives a task its instructions: what it may run in all, and of that a turn.
func (f *fiber) budget(all int64) {
	f.left = min(all, f.state.filter.settings.Budget)
	f.reserve = all - f.left
}

// park switches to the worker's loop until wake. A new turn begins then: what one may
// run bounds how long others must wait, and they do not now.
func (f *fiber) park() {
	f.parked, f.waited, f.since = true, true, f.state.worker.Now()
	f.parks++
	if !f.yield(struct{}{}) {
		f.aborted = errScriptEnded
	}
	f.parked = false
	if f.aborted == nil {
		f.budget(f.left + f.reserve - waitCost)
		f.state.refill(f, f.left)
	}
}

// fiberOperation is a fiber as the notification of the operation it waits for.
type fiberOperation fiber

// CompleteAsyncIO resumes the fiber.
func (o *fiberOperation) CompleteAsyncIO(_ bool, n int, err error, overlapped *completion.Overlapped, _ any) {
	f := (*fiber)(o)
	if f.waiting != overlapped { // the fiber went on, or was ended, without it
		overlapped.TakeData()
		f.state.discard(overlapped.TakeValue())
		f.state.settled()
		return
	}
	f.waiting, f.n, f.opErr = nil, n, err
	f.wake()
}

// wake switches to a fiber that waits. Only the worker's loop may do so.
func (f *fiber) wake() {
	if f.parked {
		f.state.enter(f)
		f.state.settle(f)
	}
}

// abort makes the call in which a fiber waits raise an error, and all later
// ones. What it waits for is cancelled; the fiber goes on when that has ended,
// because until then its buffer is in use.
func (f *fiber) abort(err error) {
	if f.done || f.aborted != nil {
		return
	}
	f.aborted = err
	if !f.parked {
		return
	}
	if f.waiting != nil {
		_ = f.waiting.Cancel() // it may have completed; its notification comes anyway
		return
	}
	if f.sleep != nil {
		f.sleep.Stop()
	}
	parks := f.parks
	_ = f.state.worker.Post(func() { // closed: shutdown stops it
		if f.parks == parks {
			f.wake()
		}
	})
}

// leave ends the wait of a fiber before what it waits for: a limit has expired.
// What is in flight is cancelled, and ends without it. Only the worker's loop may
// do so.
func (f *fiber) leave() {
	if f.waiting != nil {
		_ = f.waiting.Cancel() // it may have completed; its notification comes anyway
		f.waiting = nil
		f.state.pending++
	}
	if f.sleep != nil {
		f.sleep.Stop()
	}
	f.wake()
}

// start runs a function for a task; its end is told when it has ended, which may be now.
func (s *state) start(t task, fn *lua.LFunction, args ...lua.LValue) {
	f := s.takeFiber()
	f.thread.Push(fn)
	for _, v := range args {
		f.thread.Push(v)
	}
	f.nargs = len(args)
	f.task, f.done, f.waited, f.aborted = t, false, false, nil
	f.current = f.thread
	if t.conn == nil {
		f.budget(endless)
	} else {
		f.budget(s.filter.settings.EventBudget)
	}
	if s.closing {
		f.aborted = errScriptEnded
	}
	s.enter(f)
	s.settle(f)
}

// enter switches to a fiber and comes back when it waits or has ended. It may be
// called on another fiber, to start a task.
func (s *state) enter(f *fiber) {
	outer, left, current := s.running, s.meter.left, s.L.G.CurrentThread
	s.running, s.L.G.CurrentThread = f, f.current
	s.refill(f, f.left)
	f.next()
	f.left, f.current = s.meter.left, s.L.G.CurrentThread
	s.running, s.L.G.CurrentThread = outer, current
	s.meter.set(left)
}

// settle takes the result of a fiber whose task has ended, or notes that it waits.
func (s *state) settle(f *fiber) {
	t, result, err := f.task, f.result, f.err
	if !f.done {
		s.active[f] = struct{}{}
		if t.conn != nil && !slices.Contains(t.conn.waiting, f) {
			t.conn.waiting = append(t.conn.waiting, f)
		}
		return
	}
	if f.waited {
		delete(s.active, f)
		if t.conn != nil {
			t.conn.waiting = slices.DeleteFunc(t.conn.waiting, func(other *fiber) bool { return other == f })
		}
	}
	s.release(f)
	if s.memory.over != nil {
		s.memory.counted = time.Time{} // what the handler held for itself is free
	}
	t.end.taskEnded(result, err)
	if s.closing {
		s.checkEnded()
	}
}

const (
	maxIdleFibers = 64
	maxIdleStack  = 4 << 10 // values: a Lua stack that has grown never shrinks
)

func (s *state) takeFiber() *fiber {
	if n := len(s.idle); n > 0 {
		f := s.idle[n-1]
		s.idle = s.idle[:n-1]
		return f
	}
	return newFiber(s)
}

func (s *state) release(f *fiber) {
	failed := f.err != nil
	f.task, f.result, f.err = task{}, nil, nil
	if failed || s.closing || len(s.idle) >= maxIdleFibers || len(parts.stack(f.thread)) > maxIdleStack {
		f.stop()
		return
	}
	s.idle = append(s.idle, f)
}
