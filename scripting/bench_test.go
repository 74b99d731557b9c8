package scripting

import (
	"io"
	"strings"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
)

// benchConn returns a connection of a script with handlers, on the bench's worker.
func benchConn(tb testing.TB, source string) (*bench, *conn) {
	tb.Helper()
	b := newBench(tb, anyBackend, func(s *Settings) { s.Source = "local fwx = require 'fwx' local M = {} " + source + " return M" })
	done := make(chan error, 1)
	if err := b.port.Workers()[0].Call(func() { b.state.load(func(err error) { done <- err }) }); err != nil {
		tb.Fatal(err)
	}
	if err := <-done; err != nil {
		tb.Fatal(err)
	}
	var c *conn
	if err := b.port.Workers()[0].Call(func() { c = b.state.connOf(&framework.Connection{}) }); err != nil {
		tb.Fatal(err)
	}
	return b, c
}

// onWorker runs a benchmark on the worker.
func onWorker(b *bench, loop func()) {
	if err := b.port.Workers()[0].Call(loop); err != nil {
		b.tb.Fatal(err)
	}
}

// price is a row of the price list: a script whose on_data is called again and again.
type price struct{ name, source string }

// prices are what a script pays for what it does. Each row has in it the entry of the
// handler, which is the first.
var prices = []price{
	{"on_data that returns nil", `function M.on_data() end`},
	{"a number added to a local of the script", `local n = 0 function M.on_data() n = n + 1 end`},
	{"#chunk", `function M.on_data(_, chunk) local n = #chunk end`},
	{"chunk:sub, 16 bytes", `function M.on_data(_, chunk) local s = chunk:sub(1, 16) end`},
	{"tostring(chunk), 16 KiB", `function M.on_data(_, chunk) local s = tostring(chunk) end`},
	{"chunk:byte", `function M.on_data(_, chunk) local b = chunk:byte(5) end`},
	{"chunk:u16", `function M.on_data(_, chunk) local n = chunk:u16(5) end`},
	{"chunk:u32", `function M.on_data(_, chunk) local n = chunk:u32(5) end`},
	{"chunk:starts_with", `function M.on_data(_, chunk) local b = chunk:starts_with("GET ") end`},
	{"chunk:find, not in 16 KiB", `function M.on_data(_, chunk) local at = chunk:find("needle") end`},
	{"return \"text\": replace", `function M.on_data() return "replaced" end`},
	{"a .. b", `local n = 1 function M.on_data(_, _, dir) local s = dir .. ":" .. n end`},
	{"a table of two fields", `function M.on_data() local t = {a = 1, b = 2} end`},
	{"pcall", `local function f() end function M.on_data() pcall(f) end`},
	{"conn.id", `function M.on_data(conn) local id = conn.id end`},
	{"conn.ctx.n", `function M.on_data(conn) conn.ctx.n = 1 end`},
	{"fwx.frame.lines, a line of 64 bytes", `local text = ("x"):rep(63) .. "\n"
		local f = fwx.frame.lines({}, function() end) function M.on_data(conn, _, dir) return f(conn, text, dir) end`},
	{"fwx.json.decode, 5 fields", `local text = '{"id":7,"name":"x","tags":["a","b"],"ok":true,"n":null}' function M.on_data() local t = fwx.json.decode(text) end`},
	{"fwx.json.encode, 5 fields", `local t = {id = 7, name = "x", tags = {"a", "b"}, ok = true, n = 1.5} function M.on_data() local s = fwx.json.encode(t) end`},
	{"re:match, a line of 64 bytes", `local re, text = fwx.re.compile("^(\\w+) (\\S+)"), "GET /" .. ("x"):rep(58) function M.on_data() local m = re:match(text) end`},
	{"string.match of the same", `local text = "GET /" .. ("x"):rep(58) function M.on_data() local m = text:match("^(%w+) (%S+)") end`},
	{"fwx.hash.sha256, 64 bytes", `local text = ("x"):rep(64) function M.on_data() local h = fwx.hash.sha256(text) end`},
	{"fwx.shared.get", `fwx.shared.set("key", 1) function M.on_data() local n = fwx.shared.get("key") end`},
	{"fwx.shared.incr", `function M.on_data() fwx.shared.incr("key", 1, 60) end`},
	{"counter:inc", `local c = fwx.metrics.counter("c_total") function M.on_data() c:inc() end`},
	{"fwx.after and stop", `local function f() end function M.on_data() fwx.after(60, f):stop() end`},
	{"fwx.every and stop", `local function f() end function M.on_data() fwx.every(60, f):stop() end`},
	{"fwx.clock", `function M.on_data() local t = fwx.clock() end`},
}

// BenchmarkPrice is the price list.
func BenchmarkPrice(b *testing.B) {
	for _, p := range prices {
		b.Run(p.name, func(b *testing.B) { benchmarkData(b, p.source) })
	}
	b.Run("on_connect that returns nil", func(b *testing.B) {
		bench, c := benchConn(b, `function M.on_connect(conn) end`)
		onWorker(bench, func() {
			b.ReportAllocs()
			for b.Loop() {
				c.event.call(c, nil, handlerConnect, bench.state.handlers.connect, c.object)
			}
		})
	})
	// A wait that is over at once, without the loop of the worker.
	b.Run("suspend and resume", func(b *testing.B) {
		bench, c := benchConn(b, `function M.on_data() fwx.sleep(1) end`)
		onWorker(bench, func() {
			s := bench.state
			b.ReportAllocs()
			for b.Loop() {
				(*dataFilter)(c).Data(nil, framework.Upstream, nil)
				f := c.waiting[0]
				f.sleep.Stop()
				c.flows[0].held = false // there is no framework to resume
				f.wake()
			}
			if len(s.active) > 0 {
				b.Error("something still waits")
			}
		})
	})
	// What a script does many times in one handler, with the loop of the worker.
	for _, p := range []price{
		{"fwx.sleep(0)", `for i = 1, N do fwx.sleep(0) end`},
		{"fwx.after, set and called", `local n = 0 local function called() n = n + 1 end
			for i = 1, N do fwx.after(0, called) if i % 1000 == 0 then fwx.sleep(0) end end
			while n < N do fwx.sleep(0) end`},
		{"file:append, 100 bytes", `local f, line = assert(fwx.file.open("var/log", "a")), ("x"):rep(99) .. "\n"
			for i = 1, N do assert(f:append(line)) end f:close()`},
		{"file:read, 4 KiB", `assert(fwx.file.write("var/x", ("x"):rep(4096))) local f = assert(fwx.file.open("var/x"))
			for i = 1, N do assert(f:read(0, 4096)) end f:close()`},
	} {
		b.Run(p.name, func(b *testing.B) {
			bench := newBench(b, "auto", func(s *Settings) { s.Budget = 1 << 60 })
			bench.holdFor(time.Hour)
			b.ReportAllocs()
			b.ResetTimer()
			if _, err := bench.run("local N = " + lua.LNumber(b.N).String() + " " + p.source); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func benchmarkData(b *testing.B, source string) {
	b.Helper()
	bench, c := benchConn(b, source)
	data := make([]byte, 16<<10)
	onWorker(bench, func() {
		b.ReportAllocs()
		for b.Loop() {
			(*dataFilter)(c).Data(nil, framework.Upstream, data)
		}
	})
	if text := bench.log.String(); strings.Contains(text, "script error") {
		b.Fatal(text)
	}
}

// BenchmarkRoundTrip sends a little text there and back through a gateway, with and
// without a handler.
func BenchmarkRoundTrip(b *testing.B) {
	for name, source := range map[string]string{
		"none":    ``,
		"on_data": `function M.on_data() end`,
		"count":   `local n = 0 function M.on_data(conn, chunk, dir) if dir == "upstream" then n = n + #chunk end end`,
	} {
		b.Run(name, func(b *testing.B) {
			c := newGateway(b, "auto", source).start().dial()
			if err := c.SetDeadline(time.Time{}); err != nil {
				b.Fatal(err)
			}
			text := make([]byte, 64)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(text); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c, text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkGoCall is the floor: the interpreter's own call of an empty function,
// without a fiber.
func BenchmarkGoCall(b *testing.B) {
	bench, _ := benchConn(b, `function M.on_data() end`)
	onWorker(bench, func() {
		s := bench.state
		th, _ := s.L.NewThread()
		s.govern(th)
		b.ReportAllocs()
		for b.Loop() {
			s.meter.Left = DefaultBudget
			th.Push(s.handlers.data)
			th.Push(lua.LNil)
			if err := th.PCall(1, 1, nil); err != nil {
				b.Error(err)
			}
			th.SetTop(0)
		}
	})
}

// BenchmarkInstructions is what the budget costs and lasts: a million of them.
func BenchmarkInstructions(b *testing.B) {
	bench := newBench(b, anyBackend, func(s *Settings) { s.Budget = 1 << 60 })
	b.ReportAllocs()
	for b.Loop() {
		if _, err := bench.run("local n = 0 for i = 1, 333333 do n = n + i end"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkState(b *testing.B) {
	bench := newBench(b, anyBackend)
	onWorker(bench, func() {
		b.ReportAllocs()
		for b.Loop() {
			s := newState(bench.state.filter, bench.state.worker)
			s.closing = true
			s.checkEnded()
		}
	})
}
