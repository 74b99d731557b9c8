package scripting

import (
	"fmt"
	"slices"
	"time"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/strict"
)

// options is an argument that is a table of settings for a call.
type options struct {
	L     *lua.LState
	n     int // of the argument
	table *lua.LTable
}

// argOptions returns the argument, which may be missing. A key that is not known is
// misuse, as is a value of another type.
func argOptions(L *lua.LState, n int, known ...string) options {
	o := options{L: L, n: n}
	if L.Get(n) == lua.LNil {
		return o
	}
	o.table = L.CheckTable(n)
	o.table.ForEach(func(key, _ lua.LValue) {
		if name := key.String(); key.Type() != lua.LTString || !slices.Contains(known, name) {
			L.ArgError(n, fmt.Sprintf("there is no option %q%s", name, strict.Suggest(name, known)))
		}
	})
	return o
}

func (o options) get(name string) lua.LValue {
	if o.table == nil {
		return lua.LNil
	}
	return o.table.RawGetString(name)
}

func (o options) fail(name, wants string) {
	o.L.ArgError(o.n, fmt.Sprintf("option %s %s, got %s", name, wants, describe(o.get(name))))
}

// text returns an option that is a string; "" if it is missing.
func (o options) text(name string) string {
	switch v := o.get(name).(type) {
	case *lua.LNilType:
	case lua.LString:
		return string(v)
	default:
		o.fail(name, "wants a string")
	}
	return ""
}

// flag returns an option that is a boolean; false if it is missing.
func (o options) flag(name string) bool {
	switch v := o.get(name).(type) {
	case *lua.LNilType:
	case lua.LBool:
		return bool(v)
	default:
		o.fail(name, "wants a boolean")
	}
	return false
}

// integer returns an option that is a whole number from low to high.
func (o options) integer(name string, low, high, missing int) int {
	switch v := o.get(name).(type) {
	case *lua.LNilType:
		return missing
	case lua.LNumber:
		if v == lua.LNumber(int(v)) && int(v) >= low && int(v) <= high {
			return int(v)
		}
	}
	o.fail(name, fmt.Sprintf("wants a whole number from %d to %d", low, high))
	return 0
}

// choice returns an option that is one of several words, the first if it is missing.
func (o options) choice(name string, words ...string) string {
	text := o.text(name)
	if text == "" {
		return words[0]
	}
	if !slices.Contains(words, text) {
		o.L.ArgError(o.n, fmt.Sprintf("option %s wants one of %q, got %q", name, words, text))
	}
	return text
}

// netTimeout is how long calls to the network may wait if the script does not say.
const netTimeout = 10 * time.Second

// timeout returns the option of that name, a time in seconds.
func (o options) timeout() time.Duration {
	v := o.get("timeout")
	if v == lua.LNil {
		return netTimeout
	}
	seconds, ok := v.(lua.LNumber)
	if !ok || !(seconds > 0 && seconds <= maxSeconds) {
		o.fail("timeout", "wants a number of seconds above 0")
	}
	return time.Duration(float64(seconds) * nanoseconds)
}
