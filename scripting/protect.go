package scripting

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// When an error is raised the interpreter closes all upvalues of the thread that are
// open: those of the functions that end by it, and also those of the functions that go
// on behind the pcall, whose locals are then no longer what their closures see. It
// leaves them alone while a function handles errors. So every protected call has one,
// which closes what belongs to the functions that end, and nothing else.

const (
	// errorCost is the instructions that an error counts which the script catches: to
	// unwind takes the time of many.
	errorCost = 500
	// tracebackCost is what a traceback counts for each call that is in it.
	tracebackCost = 200
)

// luaError is error. The interpreter's own takes no nil, and gives a number no position.
func luaError(_ *state, L *lua.LState) int {
	v, level := L.Get(1), optInt(L, 2, 1)
	if n, ok := v.(lua.LNumber); ok {
		v = lua.LString(plainText(n))
	}
	L.Error(v, level)
	return 0
}

// protection is a protected call that runs.
type protection struct {
	outer   *protection
	base    int            // where the stack of the functions that it calls begins
	depth   int            // how many calls within calls an error was raised in
	handler *lua.LFunction // the script's; nil: none
	origin  *origin        // of the errors that it passes on; nil: it does not
}

// origin is where an error was raised.
type origin struct {
	raised    lua.LValue
	traceback string
}

// protectedFunctions replace those of the basic library.
var protectedFunctions = []binding{
	{name: "error", call: luaError},
	{name: "pcall", call: func(s *state, L *lua.LState) int {
		L.CheckAny(1)
		if v := L.Get(1); v.Type() != lua.LTFunction && L.GetMetaField(v, "__call").Type() != lua.LTFunction {
			L.Push(lua.LFalse)
			L.Push(lua.LString("attempt to call a " + v.Type().String() + " value"))
			return 2
		}
		if err := s.protect(L, L.GetTop()-1, protection{}); err != nil {
			return s.giveRaised(L, err)
		}
		L.Insert(lua.LTrue, 1)
		return L.GetTop()
	}},
	{name: "xpcall", call: func(s *state, L *lua.LState) int {
		fn, handler, top := L.CheckFunction(1), L.CheckFunction(2), L.GetTop()
		L.Push(fn)
		if err := s.protect(L, 0, protection{handler: handler}); err != nil {
			return s.giveRaised(L, err)
		}
		L.Insert(lua.LTrue, top+1)
		return L.GetTop() - top
	}},
}

// protect is LState.PCall for what the script goes on behind.
func (s *state) protect(L *lua.LState, nargs int, p protection) error {
	checkDepth(L)
	if !parts.known {
		return overflow(L, L.PCall(nargs, lua.MultRet, p.handler))
	}
	place := &s.protections
	if s.running != nil {
		place = &s.running.protections
	}
	p.outer, p.base = *place, parts.top(L)-nargs
	*place = &p
	handling := parts.handling(L)
	outer := *handling
	err := L.PCall(nargs, lua.MultRet, s.handleError)
	*handling, *place = outer, p.outer
	if err != nil {
		s.meter.charge(errorCost)
		if raised, ok := err.(*lua.ApiError); ok && raised.StackTrace != "" { //nolint:errorlint // it is never wrapped
			s.meter.charge(tracebackCost * p.depth) // the handler has failed, which the interpreter makes one of
		}
		closeUpvalues(L, p.base) // if it did not come to that
		p.passOn(err)
	}
	return overflow(L, err)
}

// passOn gives an error its traceback, for whoever gets it next.
func (p *protection) passOn(err error) {
	raised, ok := err.(*lua.ApiError) //nolint:errorlint // it is never wrapped
	if !ok || p.origin == nil || p.origin.raised != raised.Object {
		return
	}
	raised.StackTrace = p.origin.traceback
	for outer := p.outer; outer != nil; outer = outer.outer { // it may be raised again by one that has caught it
		if outer.origin != nil {
			*outer.origin = *p.origin
			break
		}
	}
}

// traceback returns the calls that a thread is in, as the interpreter writes them; empty
// if there is no room for one more.
func (s *state) traceback(L *lua.LState) string {
	if _, full := L.GetStack(maxCallDepth - 2); full {
		return ""
	}
	*parts.handling(L) = true // or upvalues are closed
	L.Push(s.failing)
	raised, ok := s.attempt(L, 0).(*lua.ApiError) //nolint:errorlint // it is never wrapped
	if !ok {
		return ""
	}
	const title, ours = 1, 2 // the first lines
	lines := strings.SplitN(raised.StackTrace, "\n", title+ours+1)
	return lines[0] + "\n" + lines[len(lines)-1]
}

// attempt calls a function of the script for one result. The error has a traceback, for
// the log.
func (s *state) attempt(L *lua.LState, nargs int) error {
	checkDepth(L)
	if parts.known {
		handling := parts.handling(L)
		defer func(outer bool) { *handling = outer }(*handling)
	}
	return overflow(L, L.PCall(nargs, 1, nil))
}

// checkDepth refuses a protected call on a stack of calls that is full: the interpreter
// would forget the last eight when it takes the stack down.
func checkDepth(L *lua.LState) {
	if _, full := L.GetStack(maxCallDepth - 1); full {
		L.RaiseError("stack overflow")
	}
}

// handled is called where an error has been raised, with what was.
func handled(s *state, L *lua.LState) int {
	p := s.protections
	if s.running != nil {
		p = s.running.protections
	}
	if object := L.Get(1); p.origin != nil && p.origin.raised != object {
		s.meter.charge(errorCost + tracebackCost*parts.depth(L))
		*p.origin = origin{object, s.traceback(L)}
	}
	p.depth = parts.depth(L)
	if p.handler != nil && s.meter.Left >= 0 { // or it has nothing to run with
		*parts.handling(L) = true // the interpreter has taken that back
		L.Push(p.handler)
		L.Push(L.Get(1))
		L.Call(1, 1)
	}
	closeUpvalues(L, p.base)
	return 1
}

// closeUpvalues closes the open upvalues of a thread from a place of its stack on.
func closeUpvalues(L *lua.LState, base int) {
	last := parts.upvalues(L)
	for uv := *last; uv != nil; uv = *last {
		if parts.index(uv) < base { // they are in order
			last = parts.next(uv)
			continue
		}
		*last = *parts.next(uv)
		uv.Close()
		if uv.Value() == nil { // the stack was taken down before
			uv.SetValue(lua.LNil)
		}
	}
}

// giveRaised returns false and what was raised.
func (s *state) giveRaised(L *lua.LState, err error) int {
	L.Push(lua.LFalse)
	if raised, ok := err.(*lua.ApiError); ok { //nolint:errorlint // it is never wrapped
		L.Push(raised.Object)
	} else {
		L.Push(lua.LString(err.Error()))
	}
	return 2
}

const (
	// callStackFull is what the interpreter panics with.
	callStackFull = "lua callstack overflow"
	// noInstruction is what it panics with when a function that it has just put in the place
	// of another, for a call in a return, has no room for its values: it looks for the line
	// of the instruction before the first.
	noInstruction = "runtime error: index out of range [-1]"
)

// overflow makes errors of those panics, with the line that it came from, or else the
// one that made the protected call.
func overflow(L *lua.LState, err error) error {
	raised, ok := err.(*lua.ApiError) //nolint:errorlint // it is never wrapped
	if !ok {
		return err
	}
	var full string
	switch raised.Object {
	case lua.LString(callStackFull):
		full = "stack overflow"
	case lua.LString(noInstruction):
		full = "registry overflow"
	default:
		return err
	}
	at := strings.TrimSpace(L.Where(1))
	if m := tracebackLine.FindStringSubmatch(raised.StackTrace); m != nil {
		at = m[1] + ":"
	}
	raised.Object = lua.LString(strings.TrimSpace(at + " " + full))
	return err
}
