package scripting

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// TestGoto has what lua5.1 cannot compare: it has no goto.
func TestGoto(t *testing.T) {
	runSnippets(t, nil, []snippet{
		{"a closure sees its variable after continue", `
			local n = 0
			local function inc() n = n + 1 end
			for i = 1, 3 do
				if i == 2 then goto continue end
				inc()
				::continue::
			end
			return n`, "2"},
		{"a variable of a loop that is continued is kept", `
			local fs = {}
			for i = 1, 3 do
				local x = i * 10
				fs[i] = function() return x end
				if i < 3 then goto continue end
				x = x + 1
				::continue::
			end
			return fs[1]() .. fs[2]() .. fs[3]()`, "102031"},
		{"out of two loops", `
			local f
			for i = 1, 3 do
				for j = 1, 3 do
					local x = i .. j
					f = function() return x end
					if j == 2 then goto out end
				end
			end
			::out::
			local a, b, c, d, e, g, h, k = 1, 2, 3, 4, 5, 6, 7, 8
			return f() .. a .. k`, "1218"},
		{"backwards", `
			local n, fs = 0, {}
			::again::
			local x = n
			fs[#fs + 1] = function() return x end
			n = n + 1
			if n < 3 then goto again end
			return fs[1]() .. fs[2]() .. fs[3]() .. n`, "0123"},
		{"backwards, before a closure and after it", `
			local n, fs = 0, {}
			::top::
			local x = n
			::middle::
			n = n + 1
			if n == 3 or n == 5 then goto top end
			if n > 6 then goto out end
			fs[#fs + 1] = function() return x end
			goto middle
			::out::
			return fs[1]() .. fs[2]() .. fs[3]() .. fs[4]()`, "0035"},
		{"backwards to what begins with a jump", `
			local n, r = 0, ""
			::again::
			if false then r = "off" end
			n = n + 1
			r = r .. n
			if n < 3 then goto again end
			return r`, "123"},
		{"in repeat", `
			local n = 0
			repeat
				n = n + 1
				if n == 2 then goto continue end
				do local x = n end
				::continue::
			until n == 3
			return n`, "3"},
		{"out of a block that is switched off", `
			local n = 0
			for _, v in ipairs({1, 2}) do
				if false then goto out end
				n = n + v
			end
			::out::
			return n`, "3"},
		{"into the scope of a local", `goto a; local x = 1; ::a:: return x`, "!jumps into the scope of local 'x'"},
		{"without a label", `goto nowhere`, "!no visible label 'nowhere'"},
	})
}

// TestLinesOfErrors raises errors in what is rewritten before it is compiled.
func TestLinesOfErrors(t *testing.T) {
	const failing = "nothing.here"
	rows := []struct{ name, source string }{
		{"an assignment of several values", "local a, b = 1, 2\na, b = b,\n  ERROR\nreturn a"},
		{"a target of one", "local a, b = 1, 2\na, b = b, a\nlocal t\na, t.x = b, a -- ERROR\n"},
		{"and", "local a = 1\na = a\n  and ERROR\n"},
		{"or", "local a\n\na = a or ERROR"},
		{"a condition", "local a = 1\nif a and\n  ERROR then return end"},
		{"a switched-off block", "for _, v in ipairs({1}) do\n  if false then return end\n  v = ERROR\nend"},
		{"an iterator", "for k, v in next,\n  ERROR do return k end"},
		{"an iterator that is called", "local function f() return function() end end\nfor k in f()(ERROR) do return k end"},
		{"behind a break", "local f\nwhile true do\n  do local x = 1; f = function() return x end; break end\nend\nf = ERROR"},
		{"behind goto", "for i = 1, 2 do\n  if i == 1 then goto continue end\n  i = ERROR\n  ::continue::\nend"},
		{"a field after fifty", "local t = {" + strings.Repeat("0,", 50) + "\n  x = ERROR}"},
		{"a value after fifty", "local t = {" + strings.Repeat("0,", 50) + "\n  tostring(ERROR)}"},
		{"arithmetic on a string", "local a = 1\nreturn a +\n  1, 'x' + 1 -- ERROR"},
	}
	runSnippets(t, func(b *bench) {
		for _, row := range rows {
			line := 1 + strings.Count(row.source[:strings.Index(row.source, "ERROR")], "\n")
			source := strings.Replace(row.source, "ERROR", failing, 1)
			_, err := b.run(source)
			if want := fmt.Sprintf("test.lua:%d: ", line); err == nil || !strings.HasPrefix(err.Error(), want) {
				b.tb.Errorf("%s: %v; want it at %s", row.name, err, want)
			}
		}
	}, nil)
}

// TestRefusedAtLoad has what cannot be compiled rightly.
func TestRefusedAtLoad(t *testing.T) {
	var upvalues, uses strings.Builder
	for i := range 300 {
		fmt.Fprintf(&uses, "local _ = x%d\n", i)
		if i%150 == 0 {
			upvalues.WriteString("local function f() ")
		}
		fmt.Fprintf(&upvalues, "local x%d = %d ", i, i)
	}
	rows := []struct{ name, source, want string }{
		{"a number", "local x = 1\nlocal y = 1e", `s.lua:2: malformed number near "1e`},
		{"depth", "return " + strings.Repeat("not ", 20_000) + "1", "s.lua:1: more than 10000 levels of nesting"},
		{"upvalues", upvalues.String() + "\nreturn function() " + uses.String() + " end end end", "local variables of others, more than 255"},
		{"a function", "repeat\n" + strings.Repeat("x = y\n", 70_000) + "until z", "s.lua:0: the function is too long"},
	}
	for _, row := range rows {
		_, err := compile("s.lua", []byte(row.source))
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %.200v; want %s", row.name, err, row.want)
		}
	}
}

// TestLargeTables has constructors that the compiler loses count in.
func TestLargeTables(t *testing.T) {
	list := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "%d,", i%100)
		}
		return b.String()
	}
	b := newBench(t, anyBackend)
	for _, n := range []int{1, 49, 50, 51, 99, 100, 101, 150, 25_500, 25_550, 25_551, 30_000} {
		b.wants(snippet{
			strconv.Itoa(n), fmt.Sprintf(`
				local function values() return "a", "b" end
				local plain, keyed, called = {%[1]s}, {%[1]s x = values(), y = (values())}, {%[1]s values()}
				return table.concat({#plain, plain[%[2]d], #keyed, keyed[%[2]d], keyed.x, keyed.y, #called, called[%[2]d], called[#called]}, " ")`,
				list(n), n),
			fmt.Sprintf("%[1]d %[2]d %[1]d %[2]d a a %[3]d %[2]d b", n, (n-1)%100, n+2),
		})
	}
}
