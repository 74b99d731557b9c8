package scripting

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"fwx/scripting/internal/interp"
)

// loopBench runs the same on a state of either loop.
type loopBench struct{ fast, plain *bench }

func newLoopBench(tb testing.TB) loopBench {
	tb.Helper()
	if at := interp.Differs(); at != "" {
		tb.Fatalf("the loop is not written for this gopher-lua: %s", at)
	}
	with := func(loop string) *bench { return newBench(tb, anyBackend, func(s *Settings) { s.Interpreter = loop }) }
	l := loopBench{fast: with(InterpreterFast), plain: with(InterpreterPlain)}
	if s := l.fast.state; s.machine == nil || !s.machine.Install(s.sink) || l.plain.state.machine != nil {
		tb.Fatal("they run the same loop")
	}
	return l
}

// outcome is all that can be told of a run.
type outcome struct {
	values string // that it returns, with all that is in them
	err    string // with its traceback
	left   int64  // of the budget
	top    int    // of the stack
}

// compileHere compiles a program for both states, whose code neither changes.
func compileHere(tb testing.TB, source string) *prototype {
	tb.Helper()
	proto, err := compile("program", []byte(source))
	if err != nil {
		tb.Fatalf("%v in\n%s", err, source)
	}
	return proto
}

// outcomeOf runs a program with a budget. It may be called on the worker only.
func (b *bench) outcomeOf(proto *prototype, budget int64) (o outcome) {
	s := b.state
	s.meter.set(1 << 40)
	fn := s.instantiate(proto)
	thread, _ := s.L.NewThread()
	s.govern(thread)
	parts.shareBoxes(thread, s.L)
	thread.Panic = panicUntraced
	thread.Push(fn)
	s.meter.set(budget)
	err := thread.PCall(0, lua.MultRet, nil)
	o.left, o.top = s.meter.Left, parts.top(thread)
	if err != nil {
		o.err = err.Error()
		return o
	}
	var d dumper
	for i := 1; i <= thread.GetTop(); i++ {
		d.value(thread.Get(i))
	}
	d.value(s.L.G.Global.RawGetString("global"))
	o.values = d.text.String()
	return o
}

// dumper writes what can be reached from a value, in the order in which a script would find it.
type dumper struct {
	text strings.Builder
	seen []lua.LValue
}

func (d *dumper) value(v lua.LValue) {
	const most = 200
	switch v.(type) {
	case *lua.LTable, *lua.LFunction:
		for i, s := range d.seen {
			if s == v {
				fmt.Fprintf(&d.text, "#%d ", i)
				return
			}
		}
		if len(d.seen) == most {
			d.text.WriteString("more ")
			return
		}
		d.seen = append(d.seen, v)
	}
	switch v := v.(type) {
	case lua.LNumber:
		fmt.Fprintf(&d.text, "%x ", float64(v)) // -0 is another than 0
	case *lua.LTable:
		d.text.WriteString("{")
		for key, value := v.Next(lua.LNil); key != lua.LNil; key, value = v.Next(key) {
			d.value(key)
			d.value(value)
		}
		d.value(v.Metatable)
		d.text.WriteString("} ")
	case *lua.LFunction:
		d.text.WriteString("function(")
		for _, u := range v.Upvalues {
			d.value(u.Value())
		}
		d.text.WriteString(") ")
	case *lua.LUserData, *lua.LState:
		d.text.WriteString(v.Type().String() + " ")
	default:
		fmt.Fprintf(&d.text, "%q ", v.String())
	}
}

// compare runs a program on both with a budget.
func (l loopBench) compare(tb testing.TB, proto *prototype, budget int64) (same bool, o outcome) {
	tb.Helper()
	var got, want outcome
	for b, o := range map[*bench]*outcome{l.fast: &got, l.plain: &want} {
		if err := b.port.Workers()[0].Call(func() { *o = b.outcomeOf(proto, budget) }); err != nil {
			tb.Fatal(err)
		}
	}
	if got != want {
		tb.Errorf("with a budget of %d the fast loop gives\n%+v\nthe plain one\n%+v", budget, got, want)
	}
	return got == want, want
}

// stopped are programs that are stopped at each of their instructions.
var stopped = []snippet{
	{name: "arithmetic", source: `local a, b = 7, 2 local t = {}
		for _, f in ipairs{function() return a + b, a - b, a * b, a / b, a % b, a ^ b, -a end} do t = {f()} end
		return t, -7 % 3, 7 % -3, 5.5 % 2, -5.5 % 2, 0 % 5, -0 % 5, 1 / (-6 % 3), 2 ^ 53 % 10, 1e308 * 10, 16383 + 0, 16384 + 0, -1 + 0, 0 * -1, 1 / -(0 + 0)`},
	{name: "strings", source: `local s = "10" return s + 1, s * "2", -s, s .. s .. 1, #s, "a" < "b", "a" <= "a", "b" < "a", "" == "", ("x"):rep(3), s:len(), "0x10" + 0, " 5 " - 1`},
	{name: "comparisons", source: `local x, y, t = 1, 2, {} local n = 0
		for _, c in ipairs{x < y, x <= y, x > y, x >= y, x == y, x ~= y, t == t, t == {}, x == "1", nil == false, not nil, not 0} do n = n * 2 + (c and 1 or 0) end
		if x then n = n + 1 end if not t then n = n + 2 end
		local z = x and nil or y local w = z or x return n, z, w, x and y, nil and x, false or nil`},
	{name: "tables", source: `local t = {1, 2, 3, nil, 5, x = 1, ["y z"] = 2, [true] = 3, [1.5] = 4}
		t[#t + 1] = "end" t[10] = 10 t.x = nil t.y = 5 t[t] = t t["k" .. 1] = 1 t[1] = nil t[2] = "two" t[0] = 0 t[-1] = -1 t[2 ^ 30] = 1 t.x = 2
		local s = 0 for k, v in pairs(t) do if type(v) == "number" then s = s + v end end
		return t, s, #t, t.none, t[99], t[true], t[1.5], t["y z"], #{nil, nil}, #{}, {n = {}}`},
	{name: "metatables", source: `local log = {} local base = {hello = function(self, x) return self.n + (x or 0) end}
		base.__index = base local o = setmetatable({n = 5}, base) local p = setmetatable({}, {__index = function(t, k) log[#log + 1] = k return k .. "!" end,
		__newindex = function(t, k, v) log[#log + 1] = k rawset(t, k, v) end, __call = function(self, a, ...) return a, select("#", ...) end,
		__len = function() return 42 end, __unm = function() return "unm" end, __eq = function() return true end, __lt = function() return true end,
		__le = function() return nil end, __concat = function(a, b) return "cat" end, __add = function(a, b) return b end})
		local q = setmetatable({}, getmetatable(p)) p.a = 1 p[1] = 2 p.a = 3
		local deep = setmetatable({}, {__index = setmetatable({}, {__index = o})}) local set = setmetatable({}, {__newindex = log})
		set.x = 1 set[1] = 2
		return o:hello(1), o.n, o.none, p.zzz, p[7], p(1, 2, 3), #p, -p, p == q, p < q, p <= q, p .. 1, 1 .. p, p + 1, deep.n, deep:hello(), log, set`},
	{name: "calls", source: `local function f(...) return ... end local function g(a, b) return b, a end local function h(a, ...) local b, c = ... return c, b, a, ... end
		local function tail(n) if n == 0 then return "done", f(1, nil) end return tail(n - 1) end
		local function deep(n) if n == 0 then return 0 end return 1 + deep(n - 1) end
		local a, b, c = f(1, 2) local t = {f(1, 2, 3), f(), (f(4, 5)), f(6, 7)}
		local function old(...) return arg.n, arg[1] end
		return t, a, b, c, g(1), h(), h(1), h(1, 2, 3), tail(20), deep(20), (g(1, 2)), select("#", f(nil, nil)), old(5, 6), tostring(f("x")), pcall(f, 1), f(pcall(error)) and 1`},
	{name: "closures", source: `local fs = {} for i = 1, 3 do local j = i * 2 fs[#fs + 1] = function(x) j = j + x return j, i end end
		local function counter() local n = 0 return function() n = n + 1 return n end, function() return n end end
		local up, get = counter() up() up() local r = {} for i, f in ipairs(fs) do r[i] = f(i) + f(1) end
		do local k = 1 repeat local z = k fs[#fs + 1] = function() z = z + 1 return z end k = k + 1 until z > 2 end
		while true do local w = 9 fs[#fs + 1] = function() return w end break end
		return r, get(), fs, fs[5](), fs[7]()`},
	{name: "loops", source: `local n = 0 for i = 1, 3 do n = n + i end for i = 3, 1, -1 do n = n * 2 + i end for i = 1, 0 do n = 99 end
		for i = 0, 1, 0.25 do n = n + i end for i = 1, 3, 2 do if i == 2 then break end n = n + 1 end
		for k, v in next, {a = 1, 2, 3} do n = n + v end for w in ("a b c"):gmatch("%a") do n = n + #w end
		for i in function(s, i) i = (i or 0) + 1 if i < s then return i end end, 4 do n = n + i end
		local t = setmetatable({}, {__call = function(self, s, c) c = (c or 0) + 1 if c < 3 then return c end end}) for i in t do n = n + i end
		while n < 100 do n = n + 20 end repeat local z = n n = n - 7 until z < 90 return n`},
	{name: "errors", source: `local r = {} local function try(f, ...) r[#r + 1] = {pcall(f, ...)} end
		try(function() return nil + 1 end) try(function() return {} < {} end) try(function() return 1 < "2" end) try(function() return 1 <= {} end)
		try(function() local x x.y = 1 end) try(function() local x return x.y.z end) try(function() return #nil end) try(function() return -{} end)
		try(function() ({})() end) try(function() local t = {} t[nil] = 1 end) try(function() local t = {} t[0 / 0] = 1 end) try(error, {}) try(error)
		try(function() for i = 1, {} do end end) try(function() for i = nil, 1 do end end) try(function() for i = 1, 2, {} do end end)
		try(function() return "a" + 1 end) try(function() return 1 .. {} end) try(function() none() end) try(function() return none() end) try(function() for x in 5 do end end)
		try(function() local function f() return f() + 1 end return f() end)
		r[#r + 1] = {xpcall(function() error("x") end, function(e) return e .. "!" end)}
		local kept try(function() local u = 5 kept = function() u = u + 1 return u end error("closed") end) r[#r + 1] = kept() r[#r + 1] = kept()
		return r`},
	{name: "coroutines", source: `local out = {} local co = coroutine.create(function(a, ...) out[#out + 1] = a local b, c = coroutine.yield(a + 1, "y")
		out[#out + 1] = b for i = 1, 3 do out[#out + 1] = coroutine.yield(i) end error("inside") end)
		for i = 1, 7 do out[#out + 1] = {coroutine.resume(co, i, i * 2)} out[#out + 1] = coroutine.status(co) end
		for v in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do out[#out + 1] = v end
		local function gen(n) return coroutine.wrap(function() if n > 0 then for v in gen(n - 1) do coroutine.yield(v) end end coroutine.yield(n) end) end
		for v in gen(3) do out[#out + 1] = v end out[#out + 1] = {pcall(coroutine.wrap(function() for x in coroutine.yield do end end))}
		out[#out + 1] = {coroutine.resume(coroutine.create(function() return coroutine.yield(1) end))} return out`},
	{name: "library", source: `local t = {5, 2, 8, 1} table.sort(t, function(a, b) return a > b end) table.insert(t, 1, 0) table.insert(t, 9) table.remove(t, 2)
		local s = ("hello world"):gsub("o", function(c) return c:upper() end) return t, s, table.concat(t, ","), select(-1, 1, 2), unpack({1, 2, nil, 4}, 1, 4), string.format("%5.2f|%d|%s", 1.5, 3, "x"), tonumber("0x1f"), next({}), rawget(t, 1), type(rawset)`},
	{name: "many values", source: `local function f(...) return select("#", ...), ... end local t = {} for i = 1, 120 do t[i] = i end
		local l = {unpack(t)} local m = {f(unpack(t, 1, 60))} return #l, #m, (f(unpack(t))), select("#", f(unpack(t))), l, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52}`},
}

// TestLoopsStop stops programs at each of their instructions: both loops come to the same count, the same error and the same
// traceback.
func TestLoopsStop(t *testing.T) {
	l := newLoopBench(t)
	stops := 0
	for _, program := range stopped {
		t.Run(program.name, func(t *testing.T) { stops += l.stop(t, program.source) })
	}
	for i := range 6 {
		t.Run(fmt.Sprint("made by chance ", i), func(t *testing.T) {
			stops += l.stop(t, writeProgram(&choices{more: rand.New(rand.NewPCG(5, uint64(i)))}, true))
		})
	}
	t.Logf("%d stops", stops)
}

func (l loopBench) stop(tb testing.TB, source string) (stops int) {
	tb.Helper()
	const all, most = 1 << 30, 6000
	proto := compileHere(tb, source)
	_, o := l.compare(tb, proto, all)
	if o.err != "" {
		tb.Errorf("it is no program that ends: %s", o.err)
	}
	for n := range min(all-o.left+1, most) {
		if same, _ := l.compare(tb, proto, n); !same {
			break
		}
		stops++
	}
	return stops
}

// TestLoopsAlike compares the loops by programs that are made by chance, to their end and stopped somewhere. FWX_PROGRAMS is how many, FWX_SEED where they begin.
func TestLoopsAlike(t *testing.T) {
	count, seed := setting(t, "FWX_PROGRAMS", 2000), setting(t, "FWX_SEED", 1)
	l := newLoopBench(t)
	for i := range count {
		const all = 1 << 30
		random := rand.New(rand.NewPCG(uint64(seed), uint64(i)))
		source := writeProgram(&choices{more: random}, true)
		proto := compileHere(t, source)
		same, o := l.compare(t, proto, all)
		stopped, _ := l.compare(t, proto, random.Int64N(all-o.left))
		if !same || !stopped {
			t.Fatalf("seed %d, program %d:\n%s", seed, i, source)
		}
	}
}

// FuzzLoops compares the loops by the programs of any choices, with any budget.
func FuzzLoops(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}, uint16(0))
	for seed := range uint64(20) {
		c := &choices{more: rand.New(rand.NewPCG(seed, seed))}
		writeProgram(c, true)
		data := make([]byte, len(c.list))
		for i, n := range c.list {
			data[i] = byte(n)
		}
		f.Add(data, uint16(seed*500))
	}
	l := newLoopBench(f)
	f.Fuzz(func(t *testing.T, data []byte, budget uint16) {
		c := &choices{list: make([]int, min(len(data), 2000))}
		for i := range c.list {
			c.list[i] = int(data[i])
		}
		proto, err := compile("program", []byte(writeProgram(c, true)))
		if err != nil {
			t.Skip(err)
		}
		all := int64(1 << 30)
		if budget > 0 {
			all = int64(budget)
		}
		if same, _ := l.compare(t, proto, all); !same {
			t.Fatalf("for\n%s", writeProgram(c, true))
		}
	})
}

// TestLoopCharges sees that the fast loop counts what an instruction does beyond what one takes, which the plain one cannot.
func TestLoopCharges(t *testing.T) {
	b := newLoopBench(t).fast
	for _, row := range []struct {
		name, source string
		charge       int64
	}{
		{"equal", `local a, b = ("x"):rep(N), ("x"):rep(N) left() local r = a == b left()`, 64},
		{"of other lengths", `local a, b = ("x"):rep(N), ("x"):rep(N + 1) left() local r = a == b left()`, 0},
		{"less", `local a, b = ("x"):rep(N), ("x"):rep(N + 1) left() local r = a < b left()`, 64},
		{"less or equal", `local a, b = ("x"):rep(N), "x" left() local r = a <= b left()`, 0},
		{"a key", `local k, t = ("x"):rep(N), {} left() local r = t[k] left()`, 64},
		{"a new key", `local k, t = ("x"):rep(N), {} left() t[k] = 1 left()`, 64},
		{"length", `local t = {} t[1] = 1 t[N] = 1 t[N] = nil left() local r = #t left()`, 255},
		{"length without holes", `local t = {} for i = 1, N do t[i] = i end left() local r = #t left()`, 0},
	} {
		var marks []int64
		err := b.port.Workers()[0].Call(func() {
			s := b.state
			s.L.SetGlobal("left", s.L.NewFunction(func(*lua.LState) int {
				marks = append(marks, s.meter.Left)
				return 0
			}))
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.run("local N = 16384 " + row.source); err != nil || len(marks) != 2 {
			t.Fatalf("%s: %v, %d", row.name, err, len(marks))
		}
		const most = 8 // instructions between the marks
		if got := marks[0] - marks[1] - row.charge; got < 0 || got > most {
			t.Errorf("%s: %d instructions beyond %d", row.name, got, row.charge)
		}
	}
}
