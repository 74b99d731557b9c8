package scripting

import (
	"bytes"
	"fmt"
	"runtime/debug"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/strict"
)

// binding is a function of the host that scripts can call. Every function there
// is stands in a table of these, by which it is known.
type binding struct {
	name string
	call func(s *state, L *lua.LState) int
}

// function makes a Lua function of a binding.
func (s *state) function(b binding) *lua.LFunction {
	return s.L.NewFunction(func(L *lua.LState) int {
		defer s.guard(L, b.name)
		return b.call(s, L)
	})
}

// guard makes a Lua error of a panic in the host, and logs it: a script could
// catch the error and so hide a fault that is not its own.
func (s *state) guard(L *lua.LState, name string) {
	r := recover()
	if r == nil {
		return
	}
	if raised, ok := r.(*lua.ApiError); ok {
		panic(raised)
	}
	s.logger.Error("a function for scripts panicked", "function", name, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
	L.RaiseError("%s failed in the host: %v", name, r)
}

// table returns a table of functions.
func (s *state) table(bindings ...binding) *lua.LTable {
	t := s.L.NewTable()
	for _, b := range bindings {
		t.RawSetString(b.name, s.function(b))
	}
	return t
}

// types are the metatables of the objects that scripts get.
type types struct {
	conn, session, chunk, verdict         *lua.LTable
	file, timer, watch, set               *lua.LTable
	firewall, handle, overlapped, started *lua.LTable
}

// class returns a metatable for objects that have methods only. What names it in
// errors.
func (s *state) class(what string, methods []binding, meta ...binding) *lua.LTable {
	index := s.table(methods...)
	known := namesOf(methods)
	index.Metatable = s.table(binding{"__index", func(_ *state, L *lua.LState) int {
		name := L.Get(2).String()
		L.RaiseError("%s has no method %q%s", what, name, strict.Suggest(name, known))
		return 0
	}})
	t := s.table(meta...)
	t.RawSetString("__index", index)
	t.RawSetString("__metatable", lua.LString(what))
	return t
}

func namesOf(bindings []binding) []string {
	names := make([]string, len(bindings))
	for i, b := range bindings {
		names[i] = b.name
	}
	return names
}

// object returns a new object of a class.
func (s *state) object(class *lua.LTable, value any) *lua.LUserData {
	return &lua.LUserData{Value: value, Metatable: class, Env: s.L.Env}
}

// argObject returns an argument that is an object of type T.
func argObject[T any](L *lua.LState, n int, what string) T {
	v, ok := userValue(L.Get(n)).(T)
	if !ok {
		L.ArgError(n, fmt.Sprintf("%s expected, got %s", what, describe(L.Get(n))))
	}
	return v
}

// argString returns an argument that is a string. A number is none.
func argString(L *lua.LState, n int) string {
	if text, ok := L.Get(n).(lua.LString); ok {
		return string(text)
	}
	if c, ok := userValue(L.Get(n)).(*chunk); ok {
		return string(c.bytes(L))
	}
	L.TypeError(n, lua.LTString)
	return ""
}

// argBytes returns the bytes of an argument that is a string or a chunk. Those of
// a chunk are valid as long as it is.
func argBytes(L *lua.LState, n int) []byte {
	if c, ok := userValue(L.Get(n)).(*chunk); ok {
		return c.bytes(L)
	}
	return bytesOf(argString(L, n))
}

// argLasting is argBytes for an operation that may outlast the call: what a
// chunk shows is copied, unless it is the running handler's own, which the
// chunk lasts as long as.
func (s *state) argLasting(L *lua.LState, n int) []byte {
	data := argBytes(L, n)
	c, ok := userValue(L.Get(n)).(*chunk)
	if !ok || s.running != nil && s.running.task.args[1] == lua.LValue(c.object) {
		return data
	}
	s.meter.chargeBytes(len(data))
	return bytes.Clone(data)
}

// argNumber returns an argument that is a number. A string is none.
func argNumber(L *lua.LState, n int) float64 {
	v, ok := L.Get(n).(lua.LNumber)
	if !ok {
		L.TypeError(n, lua.LTNumber)
	}
	return float64(v)
}

// maxExact is the largest integer up to which a number of Lua has them all.
const maxExact = 1 << 53

// argInteger returns an argument that is a whole number from low to high.
func argInteger(L *lua.LState, n int, low, high int64) int64 {
	v := argNumber(L, n)
	if v != float64(int64(v)) || v < float64(low) || v > float64(high) {
		L.ArgError(n, fmt.Sprintf("a whole number from %d to %d expected, got %v", low, high, v))
	}
	return int64(v)
}

// optInteger is argInteger for an argument that may be missing.
func optInteger(L *lua.LState, n int, low, high, missing int64) int64 {
	if L.Get(n) == lua.LNil {
		return missing
	}
	return argInteger(L, n, low, high)
}

// argFunction returns an argument that is a function.
func argFunction(L *lua.LState, n int) *lua.LFunction {
	f, ok := L.Get(n).(*lua.LFunction)
	if !ok {
		L.TypeError(n, lua.LTFunction)
	}
	return f
}

// give returns a value to the script.
func give(L *lua.LState, v lua.LValue) int {
	L.Push(v)
	return 1
}

// giveBytes returns bytes, which nobody changes any more, as a string.
func (s *state) giveBytes(L *lua.LState, b []byte) int {
	s.meter.chargeBytes(len(b))
	return give(L, textOf(b))
}

// giveError returns nil, message, code to the script.
func giveError(L *lua.LState, err error) int {
	L.Push(lua.LNil)
	L.Push(lua.LString(err.Error()))
	L.Push(lua.LString(codeOf(err)))
	return 3
}

// giveDone returns true, or what giveError does.
func giveDone(L *lua.LState, err error) int {
	if err != nil {
		return giveError(L, err)
	}
	return give(L, lua.LTrue)
}
