package scripting

import (
	"strconv"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// work is something that a function of the host does for a script, again and again.
type work struct {
	name, prepare, call string
	charge              int64 // of one call, with the instructions around it
}

// works are those that can take long, and the instructions of Lua that they are measured by.
var works = []work{
	{"instructions: arithmetic", `local a, b = 1, 2`, `a = a + b b = a - b a = a * 1 b = b + 1`, 5},
	{"instructions: calls", `local function f(x) return x end`, `f(i)`, 4},
	{"instructions: fields", `local t = {a = 1, b = 2}`, `t.a = t.b t.b = t.a`, 7},
	{"instructions: new tables", ``, `local t = {a = 1, b = 2}`, 4},
	{"re: literal, short", `local re = fwx.re.compile("needle") local s = ("x"):rep(40)`, `re:match(s)`, 12},
	{"re: literal, 16 KiB", `local re = fwx.re.compile("needle") local s = ("x"):rep(16384)`, `re:match(s)`, 76},
	{"re: class, short", `local re = fwx.re.compile("^[a-z]+=[0-9]+$") local s = "content=12345"`, `re:match(s)`, 26},
	{"re: one pass, 1 KiB", `local re = fwx.re.compile("^[a-z]+$") local s = ("x"):rep(1024)`, `re:match(s)`, 668},
	{"re: groups, short", `local re = fwx.re.compile([[(\d+)\.(\d+)\.(\d+)\.(\d+)]]) local s = "from 192.168.100.200 at"`, `re:match(s)`, 61},
	{"re: groups, 16 KiB", `local re = fwx.re.compile([[(\w+)@(\w+)\.com]]) local s = ("some words and more "):rep(800)`, `re:match(s)`, 30013},
	{"re: alternatives, 200 B", `local re = fwx.re.compile("(?i)union select|drop table|insert into|<script|javascript:|onerror=") local s = ("id=42&name=jane&"):rep(12)`, `re:match(s)`, 570},
	{"re: alternatives, 16 KiB", `local re = fwx.re.compile("(?i)union select|drop table|insert into|<script|javascript:|onerror=") local s = ("id=42&name=jane&"):rep(1024)`, `re:match(s)`, 47628},
	{"re: 50 words, 4 KiB", `local w = {} for i = 1, 50 do w[i] = "word" .. i * 7919 end local re = fwx.re.compile(table.concat(w, "|")) local s = ("some words and more "):rep(200)`, `re:match(s)`, 6877},
	{"re: lazy, 4 KiB", `local re = fwx.re.compile(".*?x.*?y") local s = ("abc "):rep(1024)`, `re:match(s)`, 5644},
	{"re: 1000 counted, 1 KiB", `local re = fwx.re.compile("(a|b){1,300}c") local s = ("ab"):rep(512)`, `re:match(s)`, 115852},
	{"re: find_all words, 4 KiB", `local re = fwx.re.compile([[\w+]]) local s = ("some words and more "):rep(200)`, `re:find_all(s)`, 17880},
	{"re: replace, 4 KiB", `local re = fwx.re.compile("o") local s = ("some words and more "):rep(200)`, `re:replace(s, "0")`, 4875},
	{"re: split, 4 KiB", `local re = fwx.re.compile(", *") local s = ("some, words,and, more,"):rep(200)`, `re:split(s)`, 17846},
	{"find: plain, 16 KiB", `local s = ("x"):rep(16384)`, `s:find("needle", 1, true)`, 70},
	{"find: plain, like it, 16 KiB", `local s = ("need "):rep(3277)`, `s:find("needle", 1, true)`, 70},
	{"find: pattern, 1 KiB", `local s = ("x"):rep(1024)`, `s:find("%d+")`, 347},
	{"match: captures, short", `local s = "name=value"`, `s:match("^(%w+)=(%w+)$")`, 11},
	{"match: backtracking", `local s = ("a"):rep(64)`, `s:match(".-.-b")`, 32657},
	{"match: greedy, 1 KiB", `local s = ("x"):rep(1024)`, `s:match("^.*y")`, 689},
	{"gsub: words, 4 KiB", `local s = ("some words and more "):rep(200)`, `s:gsub("%w+", "%0")`, 2669},
	{"gsub: a fixed text, 64 KiB", `local s = ("The quick brown fox jumps over the lazy dog. It did so again.  "):rep(1024)`, `s:gsub("fox", "cat")`, 3064},
	{"gsub: nothing, 4 KiB", `local s = ("some words and more "):rep(200)`, `s:gsub("[&<>]", "")`, 5402},
	{"gsub: function, 4 KiB", `local s = ("some words and more "):rep(200) local function f(w) return w end`, `s:gsub("%w+", f)`, 3469},
	{"gmatch: 4 KiB", `local s = ("some words and more "):rep(200)`, `for w in s:gmatch("%a+") do end`, 3409},
	{"format: short", ``, `local s = ("%s is %d of %5.2f"):format("this", i, 1.5)`, 37},
	{"rep: 16 KiB", ``, `local s = ("x"):rep(16384)`, 261},
	{"upper: 16 KiB", `local s = ("x"):rep(16384)`, `s:upper()`, 771},
	{"sub: short", `local s = ("x"):rep(16384)`, `local r = s:sub(5, 20)`, 5},
	{"..: 16 KiB", `local s = ("x"):rep(16384)`, `local r = s .. i`, 260},
	{"concat: 1000 elements", `local t = {} for n = 1, 1000 do t[n] = "word" end`, `table.concat(t, ",")`, 1006},
	{"insert in front, 1000", `local t = {} for n = 1, 1000 do t[n] = n end`, `table.insert(t, 1, 0) table.remove(t, 1)`, 42},
	{"sort: 1000 numbers", `local u = {} for n = 1, 1000 do u[n] = n * 7919 % 1009 end`, `local t = {unpack(u)} table.sort(t)`, 11102},
	{"sort: 1000 strings", `local u = {} for n = 1, 1000 do u[n] = "key" .. n * 7919 % 1009 end`, `local t = {unpack(u)} table.sort(t)`, 11102},
	{"sort: 1000, function", `local u = {} for n = 1, 1000 do u[n] = n * 7919 % 1009 end local function f(a, b) return a < b end`, `local t = {unpack(u)} table.sort(t, f)`, 47709},
	{"json: decode, 2 KiB", `local s = fwx.json.encode{list = {1, 2, 3, "four"}, name = ("x"):rep(20), sub = {a = true, b = 1.5}} s = "[" .. (s .. ","):rep(20) .. s .. "]"`, `fwx.json.decode(s)`, 3087},
	{"json: encode, 2 KiB", `local o = {} for n = 1, 20 do o[n] = {list = {1, 2, 3, "four"}, name = ("x"):rep(20), sub = {a = true, b = 1.5}} end`, `fwx.json.encode(o)`, 1857},
	{"json: decode one string, 16 KiB", `local s = fwx.json.encode(("x"):rep(16384))`, `fwx.json.decode(s)`, 2061},
	{"json: encode one string, 16 KiB", `local s = ("x"):rep(16384)`, `fwx.json.encode(s)`, 2317},
	{"base64: encode, 16 KiB", `local s = ("x"):rep(16384)`, `fwx.base64.encode(s)`, 2053},
	{"base64: decode, 16 KiB", `local s = fwx.base64.encode(("x"):rep(16384))`, `fwx.base64.decode(s)`, 2992},
	{"hex: encode, 16 KiB", `local s = ("x"):rep(16384)`, `fwx.hex.encode(s)`, 2053},
	{"hash: sha256, 16 KiB", `local s = ("x"):rep(16384)`, `fwx.hash.sha256(s)`, 1044},
	{"hash: sha256, short", `local s = ("x"):rep(16)`, `fwx.hash.sha256(s)`, 21},
	{"hash: md5, 16 KiB", `local s = ("x"):rep(16384)`, `fwx.hash.md5(s)`, 1044},
	{"hash: sha512, 16 KiB", `local s = ("x"):rep(16384)`, `fwx.hash.sha512(s)`, 1044},
	{"hmac: sha256, short", `local s = ("x"):rep(16)`, `fwx.hmac.sha256("key", s)`, 37},
	{"url: escape, 4 KiB", `local s = ("a b&"):rep(1024)`, `fwx.url.escape(s)`, 773},
	{"url: parse, short", ``, `fwx.url.parse("https://example.com/a/b?c=d")`, 111},
	{"url: parse_query, short", ``, `fwx.url.parse_query("a=1&b=2&c=3&d=four+five")`, 167},
	{"random: bytes, 4 KiB", ``, `fwx.random.bytes(4096)`, 325},
}

// measure runs a work so many times and returns what it was charged and how long it took.
func (w work) measure(tb testing.TB, b *bench, times int) (charge int64, took time.Duration) {
	tb.Helper()
	err := b.port.Workers()[0].Call(func() {
		s := b.state
		s.L.SetGlobal("left", s.L.NewFunction(func(*lua.LState) int {
			if charge == 0 {
				charge, took = s.meter.Left, time.Duration(time.Now().UnixNano())
			} else {
				charge, took = charge-s.meter.Left, time.Duration(time.Now().UnixNano())-took
			}
			return 0
		}))
	})
	if err != nil {
		tb.Fatal(err)
	}
	text, err := b.run(w.prepare + "\nleft()\nfor i = 1, " + strconv.Itoa(times) + " do " + w.call + " end\nleft()\nreturn 'done'")
	if err != nil || text != "done" {
		tb.Fatalf("%s: %q, %v", w.name, text, err)
	}
	return charge, took
}

// TestCosts compares what calls are charged with the table, which was made from measurements.
// Some instructions more or less are the compiler's.
func TestCosts(t *testing.T) {
	const times = 4
	b := newCostBench(t)
	for _, w := range works {
		charge, _ := w.measure(t, b, times)
		if got := charge / times; max(got-w.charge, w.charge-got) > w.charge/10+8 {
			t.Errorf("%s is charged %d instructions, not %d: if that is meant, see whether BenchmarkCost agrees", w.name, got, w.charge)
		}
	}
}

// BenchmarkCost tells how long an instruction takes that a work is charged, and how that compares
// with one of Lua: it should be from a third to three times as long.
func BenchmarkCost(b *testing.B) {
	bench := newCostBench(b)
	lua := 1.0
	for i, w := range works {
		b.Run(w.name, func(b *testing.B) {
			charge, took := w.measure(b, bench, b.N)
			each := float64(took.Nanoseconds()) / float64(charge)
			if i == 0 { // of the instructions themselves
				lua = each
			}
			b.ReportMetric(float64(charge)/float64(b.N), "instructions/op")
			b.ReportMetric(each, "ns/instruction")
			b.ReportMetric(each/lua, "ofLua")
		})
	}
}

func newCostBench(tb testing.TB) *bench {
	tb.Helper()
	b := newBench(tb, anyBackend, func(s *Settings) { s.Budget, s.EventBudget, s.Memory = 1<<50, 1<<50, 1<<40 })
	b.holdFor(holdLimit)
	return b
}
