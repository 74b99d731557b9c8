package scripting

import (
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/completion"
)

// limit bounds how long a fiber may wait in a stretch of its task. Limits nest,
// and belong to the fiber: while it has one, none of its coroutines can yield out
// of the call that set it.
type limit struct {
	fiber   *fiber
	outer   *limit
	timer   *completion.Timer
	err     error
	expired bool
}

// limit sets a limit; its end takes it back.
func (f *fiber) limit(d time.Duration) *limit {
	l := &limit{fiber: f, outer: f.limits, err: &codedError{"not done within " + d.String(), codeTimeout}}
	l.timer = f.state.worker.AfterFunc(d, l.expire)
	f.limits = l
	return l
}

// within runs what waits by methods of the fiber, for at most so long.
func (f *fiber) within(d time.Duration, do func() error) error {
	l := f.limit(d)
	defer l.end()
	return do()
}

func (l *limit) end() {
	l.timer.Stop()
	l.fiber.limits = l.outer
}

func (l *limit) expire() {
	l.expired = true
	if l.fiber.parked {
		l.fiber.leave()
	}
}

// expiry returns the error of the outermost limit that has expired.
func (l *limit) expiry() (err error) {
	for ; l != nil; l = l.outer {
		if l.expired {
			err = l.err
		}
	}
	return err
}

// timeout calls a function, and ends what that waits for when the time is up.
func timeout(s *state, L *lua.LState) int {
	d, fn := argSeconds(L, 1), argFunction(L, 2)
	l, top := s.fiberOf(L).limit(d), L.GetTop()
	defer l.end()
	L.Push(fn)
	for n := 3; n <= top; n++ {
		L.Push(L.Get(n))
	}
	err := s.protect(L, top-2, protection{origin: new(origin)})
	if err == nil {
		return L.GetTop() - top
	}
	if !l.expired || !strings.HasSuffix(messageOf(err), l.err.Error()) {
		panic(err) // it is not ours: it goes on as it was raised
	}
	return giveError(L, l.err)
}

// optTimeout returns an argument that is a time in seconds to wait, which may be
// missing.
func optTimeout(L *lua.LState, n int, missing time.Duration) time.Duration {
	if L.Get(n) == lua.LNil {
		return missing
	}
	d := argSeconds(L, n)
	if d == 0 {
		L.ArgError(n, "a number of seconds above 0 expected")
	}
	return d
}
