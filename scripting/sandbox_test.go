package scripting

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGlobals compares what a script finds with a list that was looked at.
func TestGlobals(t *testing.T) {
	b := newBench(t, anyBackend)
	got, err := b.run(`
		local seen, names = {}, {}
		local function list(prefix, t)
			if seen[t] then return end
			seen[t] = true
			for k, v in pairs(t) do
				names[#names + 1] = prefix .. k
				if type(v) == "table" then list(prefix .. k .. ".", v) end
			end
		end
		list("", _G)
		list("fwx.", fwx)
		table.sort(names)
		return table.concat(names, "\n") .. "\n"`)
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "globals.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || got != string(want) {
		t.Errorf("%v; -update rewrites the list, which is now:\n%s", err, got)
	}
}

// TestTimeLimit ends a handler that its budget lets run for longer than it may hold its
// worker, and says first that it holds it.
func TestTimeLimit(t *testing.T) {
	b := newBench(t, anyBackend, func(s *Settings) { s.Budget, s.EventBudget = 1<<50, 1<<50 })
	b.holdFor(3 * stallLimit)
	_, err := b.run("while true do end")
	if err == nil || !strings.Contains(err.Error(), "the handler has held its worker for 300ms") {
		t.Errorf("it ended with %v", err)
	}
	if log := b.log.String(); !strings.Contains(log, "a handler holds its worker") || !strings.Contains(log, "at=test.lua:1") {
		t.Errorf("the log lacks a stall:\n%s", log)
	}
}

func TestConcat(t *testing.T) {
	runSnippets(t, nil, []snippet{
		{"numbers", `return 1 .. 2 .. "a" .. 1.5`, "12a1.5"},
		{"precedence", `return "a" .. 1 + 2 .. "b"`, "a3b"},
		{"one value of a call", `local function f() return "x", "y" end return "a" .. f()`, "ax"},
		{"one value of varargs", `return (function(...) return "a" .. ... end)("x", "y")`, "ax"},
		{"one value in the middle", `local function f() return "x", "y" end return "a" .. f() .. "b"`, "axb"},
		{"as an argument", `return #("a" .. "b")`, "2"},
		{"as the last argument", `return select("#", "a" .. "b")`, "1"},
		{"in a table", `return ({"a" .. "b", x = "c" .. "d"})[1]`, "ab"},
		{"as a key", `local t = {} t["a" .. "b"] = 1 return t.ab`, "1"},
		{"in conditions", `local n = 0 while "a" .. n ~= "a3" do n = n + 1 end repeat n = n + 1 until n .. "" == "5" if n .. "" == "5" then return n end`, "5"},
		{"in a method", `return ("a" .. "b"):upper()`, "AB"},
		{"nil", `return "a" .. nil`, "!test.lua:1: attempt to concatenate a nil value"},
		{"table", `return {} .. "a"`, "!attempt to concatenate a table value"},
		{"metamethod on the left", `local t = setmetatable({}, {__concat = function(a, b) return "T" .. b end}) return t .. "a" .. "b"`, "Tab"},
		{"metamethod on the right", `local t = setmetatable({}, {__concat = function(a, b) return a .. "T" end}) return "a" .. "b" .. t`, "abT"},
		{"line", "return\n\n'a' .. nil", "!test.lua:3: attempt to concatenate"},
		{"varargs of the chunk", `return select("#", ...)`, "0"},
	})
}

// TestFormat and TestPatterns have results of Lua 5.1.
func TestFormat(t *testing.T) {
	runSnippets(t, nil, []snippet{
		{"kinds", `return ("%d %5.2f %s %q %x %c %%"):format(42, 3.14159, "s", "a\n\"b\"", 255, 65)`, "42  3.14 s \"a\\\n\\\"b\\\"\" ff A %"},
		{"g", `return ("%g %g %g"):format(1e20, 0.1, 100)`, "1e+20 0.1 100"},
		{"width", `return ("[%5d] [%-5d] [%05d] [%5s] [%.2s]"):format(1, 2, 3, "a", "bcd")`, "[    1] [2    ] [00003] [    a] [bc]"},
		{"infinity", `return ("%f %5.1f"):format(1/0, -1/0)`, "inf  -inf"},
		{"tostring", `return ("%s %s"):format(nil, true)`, "nil true"},
		{"missing", `return ("%d"):format()`, "!number expected"},
		{"bad", `return ("%y"):format(1)`, "!invalid option '%y' to format"},
		{"end", `return ("%"):format(1)`, "!invalid option"},
		{"rep, upper, lower, reverse", `return ("aB\255"):upper() .. ("Ab"):lower() .. ("abc"):reverse() .. ("ab"):rep(2) .. ("a"):rep(-1)`, "AB\xffabcbaabab"},
	})
}

func TestPatterns(t *testing.T) {
	runSnippets(t, nil, []snippet{
		{"find", `return table.concat({("hello world"):find("o w")}, ",")`, "5,7"},
		{"find captures", `return table.concat({("key = value"):find("(%w+)%s*=%s*(%w+)")}, ",")`, "1,11,key,value"},
		{"find plain", `return table.concat({("a.b"):find(".", 1, true)}, ",")`, "2,2"},
		{"find from", `return table.concat({("abab"):find("a", 2), ("abab"):find("b", -1)}, ",")`, "3,4,4"},
		{"find empty", `return table.concat({("abc"):find("")}, ",") .. tostring(("abc"):find("", 5)) .. table.concat({("abc"):find("", 4)}, ",")`, "1,044,3"},
		{"match", `return table.concat({("2026-11-23"):match("(%d+)-(%d+)-(%d+)")}, "/")`, "2026/11/23"},
		{"anchor", `return tostring(("abc"):match("^b")) .. ("abc"):match("^a") .. ("abc"):match("c$")`, "nilac"},
		{"lazy, greedy", `return ("<a><b>"):match("<(.-)>") .. ("<a><b>"):match("<(.*)>")`, "aa><b"},
		{"sets", `return ("x-1_y"):gsub("[%w_]", "") .. ("a]b"):match("[]]") .. ("a-b"):match("[a%-]+") .. ("5"):match("[^%a]")`, "-]a-5"},
		{"classes", `return ("aZ3 .\t"):gsub("%A", "!") .. ("ff0g"):match("%x+")`, "aZ!!!!ff0"},
		{"optional", `return ("colour color"):gsub("colou?r", "x")`, "x x"},
		{"balanced", `return ("f(a(b)c)d"):match("%b()")`, "(a(b)c)"},
		{"frontier", `return ("THE (quick) fox"):gsub("%f[%a]%a+", "W")`, "W (W) W"},
		{"back reference", `return ([[say "hi" 'x']]):match("([\"'])(.-)%1")`, `"`},
		{"position", `return table.concat({("abc"):match("()b()")}, ",")`, "2,3"},
		{"gsub string", `return ("hello world"):gsub("(%w+)", "<%1>") .. (("ab"):gsub("%w", "%0%0"))`, "<hello> <world>aabb"},
		{"gsub table", `return (("$a $b"):gsub("%$(%w+)", {a = "1"}))`, "1 $b"},
		{"gsub limit", `return table.concat({("aaa"):gsub("a", "b", 2)}, ",")`, "bba,2"},
		{"gsub empty", `return table.concat({("abc"):gsub("", "-")}, ",") .. table.concat({("abc"):gsub("%w*", "x")}, ",")`, "-a-b-c-,4xx,2"},
		{"gsub anchor", `return table.concat({("aaa"):gsub("^a", "b")}, ",")`, "baa,1"},
		{"gmatch", `local out = {} for k, v in ("a=1, b=2"):gmatch("(%w+)=(%w+)") do out[#out + 1] = k .. v end return table.concat(out, " ")`, "a1 b2"},
		{"gmatch empty", `local n = 0 for _ in ("abc"):gmatch("") do n = n + 1 end return n`, "4"},
		{"malformed", `return ("a"):find("[a")`, "!malformed pattern (missing ']')"},
		{"malformed end", `return ("a"):find("%")`, "!malformed pattern (ends with '%')"},
		{"bad capture", `return ("a"):find("(a")`, "!unfinished capture"},
		{"bad close", `return ("a"):match("a)")`, "!invalid pattern capture"},
		{"bad index", `return ("a"):gsub("a", "%2")`, "!invalid capture index"},
		{"zero byte", `return #("a\0b"):match("%z")`, "1"},
	})
}
