package scripting

import (
	"runtime"
	"strings"
	"sync"

	lua "github.com/yuin/gopher-lua"

	"fwx/scripting/internal/interp"
)

// Coroutines that a script makes are those of the interpreter: to wait in them
// works as everywhere, and one that is forgotten is collected. Their yield has
// limits: one in a pcall, a metamethod, an iterator or a callback would end the
// coroutine silently. It is made an error here.

// trampoline keeps the function of a coroutine from ending with a tail call,
// which would lose the values of a yield in it.
var trampoline = sync.OnceValues(func() (*prototype, error) {
	return compile(trampolineName, []byte(`
		local select, unpack = select, unpack
		local function pack(...) return select("#", ...), {...} end
		return function(f)
			return function(...)
				local n, results = pack(f(...))
				return unpack(results, 1, n)
			end
		end`))
})

// trampolineName is the script that errors name which are raised in it.
const trampolineName = "coroutine"

// placeError has an error that was raised in the trampoline, where a budget can be spent
// as anywhere, name the line of the script on which the thread runs a coroutine.
func placeError(L *lua.LState, err *lua.ApiError) {
	text, _ := err.Object.(lua.LString)
	m := position.FindStringSubmatch(string(text))
	if m == nil || m[1] != trampolineName {
		return
	}
	if at := L.Where(1); at != "" {
		err.Object = lua.LString(strings.TrimSpace(at) + " " + string(text[len(m[0]):]))
	}
}

// guardCoroutines replaces the functions of the library by ones that call them.
func (s *state) guardCoroutines(globals *lua.LTable) {
	library, ok := globals.RawGetString(lua.CoroutineLibName).(*lua.LTable)
	proto, err := trampoline()
	if !ok || err != nil {
		panic("scripting: no coroutines") // neither depends on the script
	}
	s.L.Push(s.instantiate(proto))
	s.L.Call(0, 1)
	bounce := s.L.CheckFunction(-1)
	s.L.Pop(1)
	original := func(name string) lua.LGFunction { return library.RawGetString(name).(*lua.LFunction).GFunction }
	create, wrap, resume, yield := original("create"), original("wrap"), original("resume"), original("yield")
	s.install(
		library,
		binding{name: "create", call: func(s *state, L *lua.LState) int {
			s.bounce(L, bounce)
			n := create(L)
			s.adopt(L.Get(-1))
			return n
		}},
		binding{name: "wrap", call: func(s *state, L *lua.LState) int {
			s.bounce(L, bounce)
			n := wrap(L)
			s.adoptWrapped(L.Get(-1))
			return n
		}},
		binding{name: "resume", call: func(s *state, L *lua.LState) int {
			thread := L.CheckThread(1)
			if thread.Parent != nil {
				L.Push(lua.LFalse)
				L.Push(lua.LString(errNotSuspended))
				return 2
			}
			checkNesting(L)
			s.makeRoom(thread, L.GetTop())
			return resume(L)
		}},
		binding{name: "yield", call: func(s *state, L *lua.LState) int {
			if L.Parent == nil {
				L.RaiseError("attempt to yield outside of a coroutine")
			}
			if crossesHost() {
				L.RaiseError("attempt to yield across a pcall, metamethod, iterator or callback")
			}
			s.makeRoom(L.Parent, L.GetTop())
			return yield(L)
		}},
		binding{name: "running", call: running},
	)
}

// errNotSuspended answers the resume of a coroutine that runs, or waits for an
// operation in another handler.
const errNotSuspended = "cannot resume non-suspended coroutine"

// bounce replaces the first argument, a function, by one that calls it.
func (s *state) bounce(L *lua.LState, bounce *lua.LFunction) {
	fn := argFunction(L, 1)
	L.Push(bounce)
	L.Push(fn)
	L.Call(1, 1)
	bounced := L.Get(-1)
	L.SetTop(0)
	L.Push(bounced)
}

// adopt puts a new thread under the budget of the state.
func (s *state) adopt(thread lua.LValue) {
	if th, ok := thread.(*lua.LState); ok {
		s.govern(th)
	}
}

// adoptWrapped does so for the thread in what coroutine.wrap returns, and puts the
// check of resume before it.
func (s *state) adoptWrapped(wrapped lua.LValue) {
	fn, ok := wrapped.(*lua.LFunction)
	if !ok || len(fn.Upvalues) == 0 {
		return
	}
	thread := fn.Upvalues[0].Value()
	s.adopt(thread)
	resume := fn.GFunction
	fn.GFunction = func(L *lua.LState) int {
		if th, ok := thread.(*lua.LState); ok {
			if th.Parent != nil {
				L.RaiseError("%s", errNotSuspended)
			}
			calls := checkNesting(L)
			s.makeRoom(th, L.GetTop())
			failed := true
			defer func() {
				if failed { // the error goes on from here with all of the stack that it has left
					s.meter.charge(unwindCost * calls)
				}
			}()
			n := resume(L)
			failed = false
			return n
		}
		return resume(L)
	}
}

// unwindCost is the instructions that an error which leaves a coroutine counts for each of
// the calls that wait for that.
const unwindCost = 6

// checkNesting returns how many calls wait for a coroutine that is resumed now. It refuses
// to resume it when they are as many as one thread may have. Each coroutine has a stack of
// calls of its own, so without that the depth to which they resume each other would have no
// bound, nor would the time that an error takes to leave them all.
func checkNesting(L *lua.LState) (calls int) {
	if !parts.known {
		return 0
	}
	for t := L; t != nil; t = t.Parent {
		if calls += parts.depth(t); calls >= maxCallDepth {
			L.RaiseError("stack overflow: coroutines that resume each other")
		}
	}
	return calls
}

// running returns the coroutine that runs; nil outside of any.
func running(_ *state, L *lua.LState) int {
	if L.Parent == nil {
		return give(L, lua.LNil)
	}
	return give(L, L)
}

// maxYieldDepth is how many frames are looked through for the end of a coroutine.
const maxYieldDepth = 64

// crossesHost reports whether a function of the host is between the yield and
// the start of its coroutine: the interpreter's loop is then there twice.
func crossesHost() bool {
	var pcs [maxYieldDepth]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for loops := 0; ; {
		frame, more := frames.Next()
		name := frame.Function[strings.LastIndexByte(frame.Function, '/')+1:]
		switch name {
		case "gopher-lua.mainLoopWithContext", interp.LoopName:
			if loops++; loops > 1 {
				return true
			}
		case "gopher-lua.threadRun":
			return false
		}
		if !more {
			return true
		}
	}
}
