package scripting

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
)

// shareTwice is a table that holds another twice, and so on: small in memory, and without
// an end as a text.
const shareTwice = `local t = {} for i = 1, 60 do t = {t, t} end `

// TestJSONForm sees that arrays stay arrays and numbers are written as other programs
// write them.
func TestJSONForm(t *testing.T) {
	runSnippets(t, nil, []snippet{
		{"empty array", `return fwx.json.encode(fwx.json.decode('{"a":[],"b":{},"c":[[]]}'))`, `{"a":[],"b":{},"c":[[]]}`},
		{"emptied array", `local t = fwx.json.decode("[1]") t[1] = nil return fwx.json.encode(t)`, `[]`},
		{"filled array", `local t = fwx.json.decode("[]") t[1] = 7 return #t .. fwx.json.encode(t)`, `1[7]`},
		{"new array", `return fwx.json.encode({fwx.json.array(), fwx.json.array({}), fwx.json.array({1})})`, `[[],[],[1]]`},
		{"the same table", `local t = {} return tostring(fwx.json.array(t) == t) .. fwx.json.encode(t)`, `true[]`},
		{"array twice", `return fwx.json.encode(fwx.json.array(fwx.json.array()))`, `[]`},
		{"array with a key", `local t = fwx.json.array() t.x = 1 return select(2, fwx.json.encode(t))`, `json.encode: a table has both a list and the key "x"`},
		{"array with a metatable", `fwx.json.array(setmetatable({}, {}))`, `!the table has a metatable already`},
		{"array of a string", `fwx.json.array("x")`, `!table expected`},
		{"an object that was an array", `local t = setmetatable(fwx.json.decode("[]"), nil) return fwx.json.encode(t)`, `{}`},
		{"2^53", `return fwx.json.encode({2^53, -2^53, 2^53 + 2, 2^63, 1e15, 1e20})`, `[9007199254740992,-9007199254740992,9007199254740994,9223372036854776000,1000000000000000,100000000000000000000]`},
		{"time", `return fwx.json.encode({1796129786.905, 0.1, 1/3, 123456789.125})`, `[1796129786.905,0.1,0.3333333333333333,123456789.125]`},
		{"exponents", `return fwx.json.encode({1e21, 1.5e300, 1e-6, 1e-7, -2.5e-10, 5e-324})`, `[1e+21,1.5e+300,0.000001,1e-7,-2.5e-10,5e-324]`},
		{"zeros", `return fwx.json.encode({0, -0, 0/-1})`, `[0,0,0]`},
		{"infinite", `return select(2, fwx.json.encode({a = 1/0}))`, `json.encode: a: the number +Inf has no form in JSON`},
		{"beyond exact", `return fwx.json.encode(fwx.json.decode("9007199254740993"))`, `9007199254740992`},
	})
}

// TestJSONLimits bounds what the work of one call takes, in instructions and memory.
func TestJSONLimits(t *testing.T) {
	const spent = "!test.lua:1: the instruction budget is spent"
	for _, row := range []snippet{
		{"encode without an end", shareTwice + `return fwx.json.encode(t)`, spent},
		{"swallowed", shareTwice + `while true do pcall(fwx.json.encode, t) end`, "!the instruction budget is spent"},
		{"empty tables", `local e, t = {}, {} for i = 1, 1000 do t[i] = e end local u = {} for i = 1, 1000 do u[i] = t end return fwx.json.encode(u)`, spent},
		{"many keys", `local t = {} for i = 1, 1e4 do t[i .. "k"] = 1 end for i = 1, 20 do fwx.json.encode(t) end`, spent},
		{"decode", `local s = "[" .. ("{},"):rep(2e5) .. "{}]" return fwx.json.decode(s)`, spent},
		{"decode numbers", `local s = "[" .. ("1,"):rep(5e5) .. "1]" return fwx.json.decode(s)`, spent},
		{"decode much white space", `local s = (" "):rep(3e7) return fwx.json.decode(s .. "1")`, spent},
	} {
		t.Run(row.name, func(t *testing.T) {
			newBench(t, anyBackend, func(s *Settings) { s.Budget = 2_000_000 }).wants(row)
		})
	}
	t.Run("a result of any size", func(t *testing.T) {
		b := newBench(t, anyBackend, func(s *Settings) { s.Budget = 1 << 40 })
		b.wants(snippet{"", `local t = ("x"):rep(1e6) for i = 1, 7 do t = {t, t} end return select(2, fwx.json.encode(t))`, "json.encode: the result is too large"})
	})
}

// TestJSONMemory decodes many small tables, which take what they hold and no more, and are
// counted while they are made.
func TestJSONMemory(t *testing.T) {
	const source = `local s = "[" .. ("{},"):rep(349524) .. "{}]" fwx.json.decode(s)`
	b := newBench(t, anyBackend, func(s *Settings) { s.Budget = 1 << 40 })
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b.wants(snippet{"decode", source + ` return "ok"`, "ok"})
	runtime.ReadMemStats(&after)
	const bound = 256 << 20 // all that is allocated; it was a gigabyte
	if n := after.TotalAlloc - before.TotalAlloc; n > bound {
		t.Errorf("%d MiB allocated", n>>20)
	}
	b = newMemoryBench(t)
	runtime.GC() // or the collector may not run during the call
	b.wants(snippet{"little memory", source, "!the script holds more than its memory"})
}

// TestConsoleEnds sees that a piece of Lua ends whose result nobody waits for, and one whose
// result has no end.
func TestConsoleEnds(t *testing.T) {
	g := newGateway(t, anyBackend, ``).start()
	for _, source := range []string{shareTwice + `return t`, shareTwice + `print(t)`, shareTwice + `for i = 1, 1e9 do print(t) end`} {
		if _, err := Evaluate(t.Context(), g.fw, source); err == nil || !strings.Contains(err.Error(), "budget is spent") {
			t.Errorf("%s: got %v", source, err)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the client has left"))
	for _, source := range []string{`while true do end`, `while true do pcall(conns) end`, shareTwice + `return t`} {
		if _, err := Evaluate(ctx, g.fw, source); err == nil || !strings.Contains(err.Error(), "nobody waits for the result: the client has left") {
			t.Errorf("%s: got %v", source, err)
		}
	}
}
