package testkit

import (
	"fmt"
	"slices"
	"time"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/strict"
)

// binding is something of the kit that tests can use: a method, or a field, which is a
// call whose result is its value. As those of package scripting they stand in tables,
// of which the reference page and the annotations for editors are made, too.
type binding struct {
	name string
	call func(t *test, L *lua.LState) int
	sig  string // as in package scripting; "or fail" is not among them: what fails ends the test
	doc  string
}

// class is a kind of object that tests get.
type class struct {
	name    string
	doc     string
	fields  []binding
	methods []binding
}

// The names of the classes.
const (
	testClass     = "t"
	connClass     = "conn"
	exchangeClass = "exchange"
	peerClass     = "peer"
	serverClass   = "server"
)

var classes = []class{
	{testClass, "A test that runs, and all that it can do.", nil, slices.Concat(gatewayMethods, fileMethods, serverMethods, timeMethods, lookMethods, assertions)},
	{connClass, "A connection of a client, as the client has it.", connFields, connMethods},
	{exchangeClass, "A request that the test has made, and what has come of the response.", exchangeFields, nil},
	{peerClass, "A connection that a server of the test has accepted.", peerFields, peerMethods},
	{serverClass, "A server that the test plays.", serverFields, serverObjectMethods},
}

// openClasses makes the classes in the test's state, and returns its t.
func (t *test) openClasses() *lua.LUserData {
	t.classes = make(map[string]*lua.LTable)
	for _, c := range classes {
		t.classes[c.name] = t.metatable(c)
	}
	t.classes[failureClass] = t.L.NewTable()
	t.classes[failureClass].RawSetString("__tostring", t.L.NewFunction(func(L *lua.LState) int {
		L.Push(lua.LString(messageOf(&lua.ApiError{Object: L.Get(1)})))
		return 1
	}))
	return &lua.LUserData{Value: t, Metatable: t.classes[testClass], Env: t.L.Env}
}

func (t *test) metatable(c class) *lua.LTable {
	methods := t.L.NewTable()
	known := make([]string, 0, len(c.methods)+len(c.fields))
	for _, m := range c.methods {
		methods.RawSetString(m.name, t.function(c.name+":"+m.name, m))
		known = append(known, m.name)
	}
	fields := make(map[string]binding)
	for _, f := range c.fields {
		fields[f.name] = f
		known = append(known, f.name)
	}
	meta := t.L.NewTable()
	meta.RawSetString("__index", t.L.NewFunction(func(L *lua.LState) int {
		name := L.Get(2).String()
		if f, ok := fields[name]; ok {
			return f.call(t, L)
		}
		if method := methods.RawGetString(name); method != lua.LNil {
			L.Push(method)
			return 1
		}
		L.RaiseError("%s has no %q%s", c.name, name, strict.Suggest(name, known))
		return 0
	}))
	meta.RawSetString("__newindex", t.L.NewFunction(func(L *lua.LState) int {
		L.RaiseError("the fields of %s cannot be set", c.name)
		return 0
	}))
	meta.RawSetString("__metatable", lua.LString(c.name))
	return meta
}

// function makes a Lua function of a method, which must be called as one.
func (t *test) function(name string, b binding) *lua.LFunction {
	return t.L.NewFunction(func(L *lua.LState) int {
		if _, ok := L.Get(1).(*lua.LUserData); !ok {
			L.RaiseError("%s is a method: call it with a colon", name)
		}
		return b.call(t, L)
	})
}

// argObject returns an argument that is an object of type T.
func argObject[T any](L *lua.LState, n int, what string) (object T) {
	ud, ok := L.Get(n).(*lua.LUserData)
	if ok {
		object, ok = ud.Value.(T)
	}
	if !ok {
		L.ArgError(n, fmt.Sprintf("%s expected, got %s", what, describe(L.Get(n))))
	}
	return object
}

// argString returns an argument that is a string.
func argString(L *lua.LState, n int) string {
	text, ok := L.Get(n).(lua.LString)
	if !ok {
		L.TypeError(n, lua.LTString)
	}
	return string(text)
}

// optString is argString for an argument that may be missing.
func optString(L *lua.LState, n int) string {
	if L.Get(n) == lua.LNil {
		return ""
	}
	return argString(L, n)
}

// maxSeconds bounds the times of tests: a hundred years.
const maxSeconds = 100 * 366 * 24 * 3600

// argSeconds returns an argument that is a time.
func argSeconds(L *lua.LState, n int) time.Duration {
	v, ok := L.Get(n).(lua.LNumber)
	if !ok || !(v >= 0 && v <= maxSeconds) {
		L.ArgError(n, "seconds expected, got "+show(L.Get(n), ""))
	}
	return durationOf(v)
}

func durationOf(n lua.LNumber) time.Duration { return time.Duration(float64(n) * float64(time.Second)) }

// give returns a value to the test.
func give(L *lua.LState, v lua.LValue) int {
	L.Push(v)
	return 1
}

// options is an argument that is a table of settings.
type options struct {
	L     *lua.LState
	n     int // of the argument
	where string
	table *lua.LTable
}

// argOptions returns the argument, which may be missing. A key that is not known is a mistake.
func argOptions(L *lua.LState, n int, known ...string) options {
	o := options{L: L, n: n}
	if L.Get(n) == lua.LNil {
		return o
	}
	o.table = L.CheckTable(n)
	o.check(known)
	return o
}

// check refuses keys that are not known.
func (o options) check(known []string) {
	o.table.ForEach(func(key, _ lua.LValue) {
		if name := key.String(); key.Type() != lua.LTString || !slices.Contains(known, name) {
			o.L.ArgError(o.n, fmt.Sprintf("there is no option %q%s", o.where+name, strict.Suggest(name, known)))
		}
	})
}

func (o options) get(name string) lua.LValue {
	if o.table == nil {
		return lua.LNil
	}
	return o.table.RawGetString(name)
}

func (o options) fail(name, wants string) {
	o.L.ArgError(o.n, fmt.Sprintf("option %s wants %s, got %s", o.where+name, wants, describe(o.get(name))))
}

// option returns an option that is a V of Lua; the zero value if it is missing.
func option[V lua.LValue](o options, name, wants string) (value V) {
	v := o.get(name)
	if v == lua.LNil {
		return value
	}
	value, ok := v.(V)
	if !ok {
		o.fail(name, wants)
	}
	return value
}

func (o options) text(name string) string { return string(option[lua.LString](o, name, "a string")) }

func (o options) flag(name string) bool { return bool(option[lua.LBool](o, name, "true or false")) }

func (o options) number(name string) float64 {
	return float64(option[lua.LNumber](o, name, "a number"))
}

// sub returns an option that is a table of options itself.
func (o options) sub(name string, known ...string) options {
	inner := options{L: o.L, n: o.n, where: o.where + name + ".", table: option[*lua.LTable](o, name, "a table")}
	if inner.table != nil && known != nil {
		inner.check(known)
	}
	return inner
}

// texts returns an option that is a list of strings, or one.
func (o options) texts(name string) (list []string) {
	if text, ok := o.get(name).(lua.LString); ok {
		return []string{string(text)}
	}
	table := option[*lua.LTable](o, name, "a list of strings")
	if table == nil {
		return nil
	}
	table.ForEach(func(_, value lua.LValue) {
		text, ok := value.(lua.LString)
		if !ok {
			o.fail(name, "a list of strings")
		}
		list = append(list, string(text))
	})
	return list
}

// each calls f with the keys and values of a table.
func (o options) each(f func(name string, value lua.LValue)) {
	if o.table != nil {
		o.table.ForEach(func(key, value lua.LValue) { f(key.String(), value) })
	}
}
