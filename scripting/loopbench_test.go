package scripting

import (
	"os"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// sharedWorks are those of the side by side benchmark that need nothing of a host.
var sharedWorks = []string{"compute", "rules", "strings", "oop"}

// computations are functions that run for long, by what takes the time.
var computations = []price{
	{"fib", `local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end return function() return fib(16) end`},
	{"sieve", `return function() local t, n = {}, 0 for i = 2, 2000 do t[i] = true end for i = 2, 2000 do if t[i] then n = n + 1 for j = i * i, 2000, i do t[j] = false end end end return n end`},
	{"float", `return function() local s = 0.5 for i = 1, 1000 do s = s * 0.999 + i / 3 end return s end`},
	{"closures", `return function() local fs = {} for i = 1, 200 do fs[i] = function(x) return x + i end end local s = 0 for i = 1, 200 do s = s + fs[i](i) end return s end`},
}

// BenchmarkLoop is what both loops take for them.
func BenchmarkLoop(b *testing.B) {
	list := computations
	for _, name := range sharedWorks {
		source, err := os.ReadFile("../bench/conf/work-" + name + ".lua")
		if err != nil {
			b.Fatal(err)
		}
		list = append(list, price{name, string(source)})
	}
	for _, c := range list {
		for _, loop := range []string{InterpreterPlain, InterpreterFast} {
			b.Run(c.name+"/"+loop, func(b *testing.B) { benchmarkLoop(b, c.source, loop) })
		}
	}
}

func benchmarkLoop(b *testing.B, source, loop string) {
	b.Helper()
	bench := newBench(b, anyBackend, func(s *Settings) { s.Interpreter = loop })
	bench.holdFor(time.Hour)
	proto := compileHere(b, source)
	onWorker(bench, func() {
		s := bench.state
		thread, _ := s.L.NewThread()
		s.govern(thread)
		s.meter.set(1 << 60)
		thread.Push(s.instantiate(proto))
		thread.Call(0, 1)
		fn := thread.Get(1)
		b.ReportAllocs()
		for b.Loop() {
			thread.Push(fn)
			if err := thread.PCall(0, 1, nil); err != nil {
				b.Fatal(err)
			}
			if thread.Get(-1) == lua.LNil {
				b.Fatal("it gives nothing")
			}
			thread.SetTop(1)
		}
	})
}
