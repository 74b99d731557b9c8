package scripting

import (
	"bytes"
	"fmt"
	"runtime/debug"
	"slices"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/strict"
)

// binding is something of the host that scripts can use: a function, a method, or
// a field, which is a call whose result is its value. All there is stands in tables
// of these, by which it is known: to Lua, to the reference page and to editors. The
// latter two are written anew by
//
//	go test ./scripting -run TestGenerated -update
type binding struct {
	name string
	call func(s *state, L *lua.LState) int
	// sig is its signature without the name: the parameters, those that may be
	// missing marked by "?", then the results. One that can fail ends in "or fail"
	// and returns nil, a message and a code instead:
	//
	//	(path: string, options?: table) -> data: string or fail
	//
	// Of a field it is the type. Types are those of Lua as editors write them
	// (string[], "a"|"b", fun(path: string)), classes and typeNames. Empty for what
	// is Lua's own, and for metamethods that nobody calls.
	sig string
	// doc tells in a sentence or more, in Markdown, what it does. "Waits" in it
	// says that the call may suspend its handler.
	doc string
}

// typeNames are the names in signatures that stand for other types.
var typeNames = []struct{ name, means, doc string }{
	{"bytes", `string|chunk`, "A string, or a chunk in its place."},
	{"direction", `"upstream"|"downstream"`, "From the client to the server, or back."},
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
	if r == callStackFull {
		L.RaiseError("stack overflow")
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
	hello, tls                            *lua.LTable
	expected                              *lua.LTable
	file, timer, watch, set, re, list     *lua.LTable
	socket, headers                       *lua.LTable
	request, response, spooled            *lua.LTable
	counter, gauge, histogram             *lua.LTable
	firewall, handle, overlapped, started *lua.LTable
}

// class is a kind of object that scripts get.
type class struct {
	name    string // in errors, and as a type
	doc     string
	fields  []binding
	methods []binding
	meta    []binding
	place   func(*types) **lua.LTable // where its metatable is kept
}

// metatable returns the metatable of the objects of a class.
func (s *state) metatable(c class) *lua.LTable {
	index := s.table(c.methods...)
	known := namesOf(append(slices.Clip(c.methods), c.fields...))
	fields := make(map[lua.LString]binding)
	kind := "method"
	for _, f := range c.fields {
		fields[lua.LString(f.name)] = f
		kind = "field"
	}
	other := binding{name: "__index", call: func(s *state, L *lua.LState) int {
		name, _ := L.Get(2).(lua.LString)
		if f, ok := fields[name]; ok {
			return f.call(s, L)
		}
		if method := index.RawGetString(string(name)); method != lua.LNil {
			return give(L, method)
		}
		L.RaiseError("%s has no %s %q%s", c.name, kind, L.Get(2).String(), strict.Suggest(string(name), known))
		return 0
	}}
	t := s.table(c.meta...)
	if len(fields) > 0 {
		t.RawSetString("__index", s.function(other))
	} else { // the interpreter finds methods by itself
		index.Metatable = s.table(other)
		t.RawSetString("__index", index)
	}
	t.RawSetString("__metatable", lua.LString(c.name))
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

// objectAt is object for one that is a part of a structure. What a script has given it stays.
func (s *state) objectAt(place *lua.LUserData, class *lua.LTable, value any) *lua.LUserData {
	if place.Value == nil {
		place.Value, place.Metatable, place.Env = value, class, s.L.Env
	}
	return place
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

// argLasting is argBytes for what may wait with the bytes, or outlast the call: what a
// chunk shows is copied, unless it is the running handler's own, that waits however long
// it takes, and the chunk is not one that is moved meanwhile.
func (s *state) argLasting(L *lua.LState, n int) []byte {
	data := argBytes(L, n)
	c, ok := userValue(L.Get(n)).(*chunk)
	if !ok || s.running != nil && s.running.limits == nil && s.running.shows(c) && len(data) > smallChunk {
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

// giveFailure is giveError after a wait by methods of the fiber: what they only
// return is raised here.
func (s *state) giveFailure(L *lua.LState, err error) int {
	s.running.raiseInterrupted(L)
	return giveError(L, err)
}

// giveDone returns true, or what giveError does.
func giveDone(L *lua.LState, err error) int {
	if err != nil {
		return giveError(L, err)
	}
	return give(L, lua.LTrue)
}

// raise raises an error, if there is one; otherwise it returns nothing to the script.
func raise(L *lua.LState, err error) int {
	if err != nil {
		L.RaiseError("%s", err.Error())
	}
	return 0
}
