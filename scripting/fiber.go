package scripting

import (
	"errors"
	"fmt"
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

// fiber is what a handler is while it runs: a thread of Lua, and a carrier on which the
// interpreter runs. Waiting for an operation means to switch back to the worker's loop,
// with all of the carrier's stack kept, that of the interpreter included; when the
// operation completes the loop switches there again and the call returns. So a handler
// can wait anywhere: in a pcall, a metamethod, an iterator or a coroutine of its own.
//
// Most calls that wait are made by functions of Lua that have called each other, and by
// nothing else. Then the thread has all that there is to keep, and the carrier goes on to
// carry others: see pause.
type fiber struct {
	state   *state
	thread  *lua.LState
	carrier *carrier // nil: it has not begun, or waits without one

	task    task
	nargs   int  // of its function, which are on the thread's stack until it begins
	done    bool // the task has ended
	parked  bool
	waited  bool                          // parked since the task began
	rest    func(*fiber, *lua.LState) int // of the call in which it waits without a carrier; nil: there is none
	wanted  int                           // the results that the script wants of that call
	args    []lua.LValue                  // of that call
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
	s.govern(f.thread)
	parts.shareBoxes(f.thread, s.L)
	f.thread.Panic = panicUntraced
	return f
}

// execute runs the task, to its end or until it waits without a carrier. An error, or a
// panic of the interpreter, ends the task only.
func (f *fiber) execute() {
	defer func() {
		if r := recover(); r != nil {
			f.done, f.rest, f.result, f.err = true, nil, lua.LNil, f.failure(r)
		}
	}()
	t := f.thread
	if f.rest == nil {
		t.Call(f.nargs, lua.MultRet)
	} else {
		f.finishCall()
		parts.goOn(t)
	}
	if f.rest != nil {
		f.state.L.G.CurrentThread = t
		f.state.sink.SetTop(0)
		return
	}
	f.done, f.result = true, t.Get(1)
	t.SetTop(0)
}

// panicUntraced raises what is on top of a stack. The traceback is for failure to make:
// that of a coroutine would not say who runs it.
func panicUntraced(L *lua.LState) { panic(&lua.ApiError{Type: lua.ApiErrorRun, Object: L.Get(-1)}) }

// failure makes an error with a traceback of what a task has ended by.
func (f *fiber) failure(raised any) error {
	err, ok := raised.(*lua.ApiError)
	if !ok {
		err = &lua.ApiError{Type: lua.ApiErrorPanic, Object: lua.LString(fmt.Sprint(raised))}
	}
	if err.StackTrace == "" {
		err.StackTrace = f.traceback()
	}
	placeError(f.thread, err)
	return overflow(f.thread, err)
}

// traceback returns the calls that the thread is in, as the interpreter writes them.
func (f *fiber) traceback() (text string) {
	defer func() {
		if raised, ok := recover().(*lua.ApiError); ok {
			text = raised.StackTrace
		}
	}()
	f.state.sink.Panic(f.thread) // which makes one
	return ""
}

// await starts an operation and waits until it has completed. An error of
// waiting itself is raised.
func (s *state) await(L *lua.LState, start func(*completion.Overlapped) error) (n int, value any, err error) {
	f := s.fiberOf(L)
	n, value, err = f.perform(start)
	f.raiseInterrupted(L)
	return n, value, err
}

// awaitThen is await as the last thing that a function of the host does: then gives the
// result to the script. What the function has on its Lua stack is gone by then.
func (s *state) awaitThen(L *lua.LState, start func(*completion.Overlapped) error, then func(n int, value any, err error) int) int {
	f := s.fiberOf(L)
	o, err := f.operation()
	if err == nil {
		err = start(o)
	}
	if err != nil {
		return then(0, nil, err)
	}
	return f.pauseFor(L, o, then)
}

// pauseFor is the rest of awaitThen when the operation has been started.
func (f *fiber) pauseFor(L *lua.LState, o *completion.Overlapped, then func(n int, value any, err error) int) int {
	f.waiting = o
	return f.pause(L, func(f *fiber, L *lua.LState) int {
		n, value, err := f.outcome(o)
		f.raiseInterrupted(L)
		return then(n, value, err)
	})
}

// perform is await with an error where that would raise one: for what must tidy up
// first, or has frames of others between itself and the script.
func (f *fiber) perform(start func(*completion.Overlapped) error) (n int, value any, err error) {
	if err := f.interrupted(); err != nil {
		return 0, nil, err
	}
	o, err := f.operation()
	if err == nil {
		err = start(o)
	}
	if err != nil {
		return 0, nil, err
	}
	f.waiting = o
	f.park()
	return f.outcome(o)
}

// operation returns what the fiber can start an operation with.
func (f *fiber) operation() (*completion.Overlapped, error) {
	if f.op != nil && !f.op.InFlight() {
		return f.op, nil
	}
	f.op = f.state.worker.CreateOverlapped()
	return f.op, f.op.SetNotificationInterface((*fiberOperation)(f), nil)
}

// outcome returns the result of the operation that the fiber has waited for.
func (f *fiber) outcome(o *completion.Overlapped) (n int, value any, err error) {
	if o.InFlight() { // its limit has expired: it ends without us
		return 0, nil, f.interrupted()
	}
	value = o.TakeValue()
	o.TakeData() // who waited has the buffer
	if err := f.interrupted(); err != nil {
		f.state.discard(value)
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

// startSleep sets the time until which the fiber is to wait.
func (s *state) startSleep(L *lua.LState, d time.Duration) *fiber {
	f := s.fiberOf(L)
	if f.sleep == nil {
		f.sleep = s.worker.NewTimer(f.wake)
	}
	s.expire(f)
	f.raiseInterrupted(L)
	if d > 0 { // nobody sleeps less than they want, because of what has passed of this turn
		d += s.worker.Port().Uptime() - s.worker.Now()
	}
	f.sleep.Reset(d)
	return f
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

// park switches to the worker's loop until wake.
func (f *fiber) park() {
	f.beginWait()
	if !f.carrier.yield(struct{}{}) {
		f.aborted = errScriptEnded
	}
	f.endWait()
}

// pause is park as the last thing that a function of the host does but for the rest,
// which gives results to the script. If nothing but Lua has led to that function, no
// carrier is needed to come back: the thread keeps the calls, and the interpreter's loop
// is left, as for a yield. The rest is done when it is entered again.
func (f *fiber) pause(L *lua.LState, rest func(*fiber, *lua.LState) int) int {
	if L != f.thread || !parts.onlyLua(L) {
		f.park()
		return rest(f, L)
	}
	f.beginWait()
	f.rest, f.wanted = rest, parts.wanted(L)
	for n := range L.GetTop() { // they must not be collected, and count
		f.args = append(f.args, L.Get(n+1))
	}
	L.SetTop(0)
	L.Parent = f.state.sink // or there would be nobody to yield to
	const yield = -1
	return yield
}

// finishCall does the rest of the call in which the fiber has waited, and leaves on the
// stack as many results as the script wants.
func (f *fiber) finishCall() {
	rest, t := f.rest, f.thread
	clear(f.args)
	f.rest, f.args = nil, f.args[:0]
	f.endWait()
	defer f.state.guard(t, parts.called(t))
	top := t.GetTop()
	n := rest(f, t)
	for t.GetTop() > top+n {
		t.Remove(top + 1)
	}
	if f.wanted != lua.MultRet {
		t.SetTop(top + f.wanted)
	}
}

func (f *fiber) beginWait() {
	f.parked, f.waited, f.since = true, true, f.state.worker.Now()
	f.parks++
}

// endWait begins a new turn: what one may run bounds how long others must wait, and they
// have not now.
func (f *fiber) endWait() {
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
	f.wakeSoon()
}

// wakeSoon has the fiber wake by a task of its own, unless something else wakes it first.
// What wakes many at a time leaves the worker to others in between.
func (f *fiber) wakeSoon() {
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
	outer, left, current := s.running, s.meter.Left, s.L.G.CurrentThread
	s.running, s.L.G.CurrentThread = f, f.current
	s.refill(f, f.left)
	if f.carrier == nil {
		f.carrier = s.takeCarrier()
		f.carrier.fiber = f
	}
	f.carrier.next()
	if f.done || f.rest != nil {
		s.releaseCarrier(f.carrier)
		f.carrier = nil
	}
	f.left, f.current = s.meter.Left, s.L.G.CurrentThread
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
	if !failed && !s.closing && len(s.idle) < maxIdleFibers && len(parts.stack(f.thread)) <= maxIdleStack {
		s.idle = append(s.idle, f)
	}
}
