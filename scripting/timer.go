package scripting

import (
	"math"
	"time"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/completion"
)

// nanoseconds in a second.
const nanoseconds = 1e9

// maxSeconds bounds the durations that scripts give.
const maxSeconds = 366 * 24 * 3600

// minEvery is the shortest time between two calls of fwx.every.
const minEvery = time.Millisecond

// background returns what becomes of a function that no connection waits for:
// its errors are logged, but for that of having been replaced.
func (s *state) background(handler string) ending {
	return endingFunc(func(_ lua.LValue, err error) {
		if err != nil && !s.closing && !isReplaced(err) {
			s.logError(handler, noConnection, err)
		}
	})
}

// argSeconds returns an argument that is a time in seconds.
func argSeconds(L *lua.LState, n int) time.Duration {
	v := argNumber(L, n)
	if math.IsNaN(v) || v < 0 || v > maxSeconds {
		L.ArgError(n, "seconds from 0 to a year expected")
	}
	return time.Duration(v * nanoseconds)
}

// sleep waits.
func sleep(s *state, L *lua.LState) int {
	return s.startSleep(L, argSeconds(L, 1)).pause(L, slept)
}

func slept(f *fiber, L *lua.LState) int {
	f.raiseInterrupted(L)
	return 0
}

// timer calls a function of the script, once or again and again.
type timer struct {
	state   *state
	fn      *lua.LFunction
	every   time.Duration // 0: once
	timer   *completion.Timer
	running bool

	scheduled bool // as the task that made it
}

// timerBytes is what one takes, here and in the port.
const timerBytes = 256

func (t *timer) count(c *census) {
	c.bytes += timerBytes
	c.add(t.fn)
}

var timerMethods = []binding{{"stop", timerStop, "() -> boolean", "`true` if it would have called again."}}

func after(s *state, L *lua.LState) int { return s.newTimer(L, 0) }

func every(s *state, L *lua.LState) int { return s.newTimer(L, max(argSeconds(L, 1), minEvery)) }

// maxTimers bounds the timers of one state.
const maxTimers = 100_000

func (s *state) newTimer(L *lua.LState, every time.Duration) int {
	t := &timer{state: s, fn: argFunction(L, 2), every: every}
	d := max(argSeconds(L, 1), every)
	if s.closing {
		L.RaiseError("%s", errScriptEnded.Error())
	}
	if len(s.timers) >= maxTimers {
		L.RaiseError("there are %d timers already", maxTimers)
	}
	t.scheduled = s.running.task.scheduled
	t.timer = s.worker.NewTimer(t.fire)
	if !s.retired || !t.scheduled {
		s.timers[t] = struct{}{}
		t.timer.Reset(d)
	}
	return give(L, s.object(s.types.timer, t))
}

func (t *timer) fire() {
	if t.every > 0 {
		t.timer.Reset(t.every)
	} else {
		delete(t.state.timers, t)
	}
	if t.running { // it still waits for something: this call is left out
		return
	}
	t.running = true
	t.state.start(task{name: "a timer", end: t, scheduled: t.scheduled}, t.fn)
}

// taskEnded logs the error of the function.
func (t *timer) taskEnded(result lua.LValue, err error) {
	t.running = false
	if err != nil && isReplaced(err) {
		return
	}
	t.state.background("timer").taskEnded(result, err)
}

// stop reports whether the timer would have called its function again.
func (t *timer) stop() bool {
	delete(t.state.timers, t)
	return t.timer.Stop()
}

func timerStop(_ *state, L *lua.LState) int {
	return give(L, lua.LBool(argObject[*timer](L, 1, "timer").stop()))
}

// now returns the time of day, in seconds since 1970.
func now(s *state, L *lua.LState) int {
	return give(L, lua.LNumber(float64(s.time().UnixNano())/nanoseconds))
}

// time returns the time of day.
func (s *state) time() time.Time { return s.worker.Port().Time() }

// clock returns the seconds since the port began; it never goes backwards.
func clock(s *state, L *lua.LState) int {
	return give(L, lua.LNumber(s.worker.Port().Uptime().Seconds()))
}
