package scripting

import (
	"io"
	"runtime"
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

func benchmarkData(b *testing.B, source string) {
	b.Helper()
	bench, c := benchConn(b, source)
	data := make([]byte, 16<<10)
	onWorker(bench, func() {
		b.ReportAllocs()
		for b.Loop() {
			c.flows[framework.Upstream].call(data)
		}
	})
}

func BenchmarkDataNil(b *testing.B) { benchmarkData(b, `function M.on_data() end`) }

func BenchmarkDataLength(b *testing.B) {
	benchmarkData(b, `function M.on_data(conn, chunk, dir) if #chunk == 0 then return fwx.drop end end`)
}

func BenchmarkDataReplace(b *testing.B) {
	benchmarkData(b, `function M.on_data(conn, chunk, dir) return "replaced" end`)
}

func BenchmarkDataFind(b *testing.B) {
	benchmarkData(b, `function M.on_data(conn, chunk, dir) if chunk:find("needle") then return fwx.drop end end`)
}

func BenchmarkDataCount(b *testing.B) {
	benchmarkData(b, `local n = 0 function M.on_data(conn, chunk, dir) if dir == "upstream" then n = n + #chunk end end`)
}

func BenchmarkConnect(b *testing.B) {
	bench, c := benchConn(b, `function M.on_connect(conn) end`)
	onWorker(bench, func() {
		b.ReportAllocs()
		for b.Loop() {
			c.event.call(c, nil, handlerConnect, bench.state.handlers.connect)
		}
	})
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
		th.SetContext(&s.meter)
		b.ReportAllocs()
		for b.Loop() {
			s.meter.left = DefaultBudget
			th.Push(s.handlers.data)
			th.Push(lua.LNil)
			if err := th.PCall(1, 1, nil); err != nil {
				b.Error(err)
			}
			th.SetTop(0)
		}
	})
}

// BenchmarkSuspend is a wait for a timer that is due: two switches and a turn of
// the worker's loop.
func BenchmarkSuspend(b *testing.B) {
	bench := newBench(b, anyBackend, func(s *Settings) { s.Budget = 1 << 60 })
	b.ReportAllocs()
	b.ResetTimer()
	if _, err := bench.run("for i = 1, " + lua.LNumber(b.N).String() + " do fwx.sleep(0) end"); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSwitch is a wait that is over at once, without the loop.
func BenchmarkSwitch(b *testing.B) {
	bench, c := benchConn(b, `function M.on_data() fwx.sleep(1) end`)
	onWorker(bench, func() {
		s := bench.state
		b.ReportAllocs()
		for b.Loop() {
			c.flows[0].call(nil)
			f := c.waiting[0]
			f.sleep.Stop()
			c.flows[0].held = false // there is no framework to resume
			f.wake()
		}
		if len(s.active) > 0 {
			b.Error("something still waits")
		}
	})
}

// BenchmarkSuspended measures the memory of a handler that waits.
func BenchmarkSuspended(b *testing.B) {
	const handlers = 10_000
	bench := newBench(b, "auto")
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		if _, err := bench.run(`for i = 1, 10000 do fwx.after(0, function() fwx.sleep(3600) end) end fwx.sleep(0.05)`); err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		onWorker(bench, func() { bench.state.abortAll(errTooLong) })
		onWorker(bench, func() {})
	}
	used := after.HeapAlloc + after.StackInuse - before.HeapAlloc - before.StackInuse
	b.ReportMetric(float64(used)/handlers, "B/handler")
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

func BenchmarkConcat(b *testing.B) {
	benchmarkData(b, `local n = 1 function M.on_data(conn, chunk, dir) local s = dir .. ":" .. n end`)
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
