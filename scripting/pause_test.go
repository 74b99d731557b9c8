package scripting

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/fwxtest"
	"fwx/framework/store"
)

// ways are how a script comes to a call that waits: by Lua alone, when no carrier waits
// with it, and by functions of the host.
var ways = []struct {
	name  string
	by    string // what calls f
	plain bool
}{
	{"of Lua", `f()`, true},
	{"of Lua, deeply", `(function() local x = (function() return (f()) end)() return x end)()`, true},
	{"an object that is called", `setmetatable({}, {__call = f})()`, true},
	{"pcall", `select(2, pcall(f))`, false},
	{"a metamethod", `setmetatable({}, {__index = f}).x`, false},
	{"an iterator", `(function() for v in f do return v end end)()`, false},
	{"a coroutine", `coroutine.wrap(f)()`, false},
}

// carriers returns how many carriers wait with the handlers that wait, of how many.
func (b *bench) carriers(t *testing.T) (n, waiting int) {
	t.Helper()
	err := b.state.worker.Call(func() {
		for f := range b.state.active {
			if f.carrier != nil {
				n++
			}
		}
		waiting = len(b.state.active)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n, waiting
}

// TestCarriersThatWait sees which waits keep a carrier.
func TestCarriersThatWait(t *testing.T) {
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		for _, way := range ways {
			b := newBench(t, backend)
			source := `local function f() fwx.sleep(3600) return 1 end fwx.after(0, function() local x = ` + way.by + ` return x end)`
			if _, err := b.run(source); err != nil {
				t.Fatal(err)
			}
			n, waiting := 0, 0
			fwxtest.Eventually(t, patience, "the handler waits", func() bool { n, waiting = b.carriers(t); return waiting == 1 })
			if (n == 0) != way.plain {
				t.Errorf("%s: %d carriers wait", way.name, n)
			}
		}
	})
}

// TestResults sees that a call that waits gives what the script wants of it, however it
// was called.
func TestResults(t *testing.T) {
	results := []snippet{
		{"none of none", `fwx.sleep(0.001) return "ok"`, "ok"},
		{"one of none", `local x = fwx.sleep(0.001) return tostring(x)`, "nil"},
		{"three of none", `local x, y, z = fwx.sleep(0.001) return tostring(x) .. tostring(y) .. tostring(z)`, "nilnilnil"},
		{"all of none", `local n = select("#", fwx.sleep(0.001)) return n`, "0"},
		{"none of one", `file:read(0, 1) return "ok"`, "ok"},
		{"one of one", `local s = file:read(0, 2) return s`, "he"},
		{"two of one", `local s, err = file:read(0, 2) return s .. tostring(err)`, "henil"},
		{"one of three", `local x, kept = 1, 2 local r = file:write(0, "x") return tostring(r) .. x .. kept`, "nil12"},
		{"three of three", `local r, _, code = file:write(0, "x") return tostring(r) .. code`, "nilEBADF"},
		{"all of three", `local t = {file:write(0, "x")} return select("#", unpack(t, 1, 3)) .. t[3]`, "3EBADF"},
		{"last of several", `local t = {1, 2, file:read(0, 1)} return table.concat(t)`, "12h"},
		{"not the last", `local t = {file:read(0, 1), file:read(1, 1), 3} return table.concat(t)`, "he3"},
		{"as an argument", `return table.concat({file:read(0, 1) .. file:read(1, 1), "!"})`, "he!"},
		{"of an expression", `local n = #file:read(0, 3) + #(file:read(0, 2)) return n`, "5"},
		{"of a condition", `if file:read(0, 1) == "h" and not fwx.sleep(0.001) then return "yes" end`, "yes"},
		{"of a loop", `local out = "" for i = 0, 4 do out = out .. file:read(i, 1) end return out`, "hello"},
		{"of varargs", `local function g(...) local s = file:read(0, 1) return s .. select("#", ...) .. select(2, ...) end return (g("a", "b", nil))`, "h3b"},
		{"of upvalues", `local n = 0 local function inc() n = n + 1 fwx.sleep(0.001) n = n + 1 end inc() n = n + 1 inc() return n`, "5"},
		{"in a return", `return file:read(1, 3)`, "ell"},
	}
	rows := make([]snippet, 0, len(ways)*len(results))
	for _, way := range ways {
		for _, row := range results {
			rows = append(rows, snippet{
				way.name + ": " + row.name,
				`local file = assert(fwx.file.open("read/a")) local function f() ` + row.source + ` end local x = ` + way.by + ` return x`, row.want,
			})
		}
	}
	runSnippets(t, func(b *bench) { b.write("read/a", "hello") }, rows)
}

// TestErrorsOfWaits sees that the error of a wait names the line of the call, and that
// its handler ends with it or can catch it.
func TestErrorsOfWaits(t *testing.T) {
	runSnippets(t, func(b *bench) { b.write("read/a", "hello") }, []snippet{
		{"behind a wait", "local function f()\nfwx.sleep(0.001)\nerror('oops') end\nf()", "!test.lua:3: oops"},
		{"of the interpreter, behind a wait", "fwx.sleep(0.001)\nlocal x = nil + 1", "!test.lua:2: cannot perform add operation between nil and number"},
		{"stack overflow behind a wait", "local function f() return 1 + f() end\nfwx.sleep(0.001)\nf()", "!test.lua:1: stack overflow"},
		{"caught behind a wait", `fwx.sleep(0.001) local ok, err = pcall(error, "oops", 0) fwx.sleep(0.001) return tostring(ok) .. err`, "falseoops"},
		{"an object behind a wait", `fwx.sleep(0.001) error({})`, "!an error that is a table"},
	})
}

// TestCancelledPause ends scripts whose handlers wait without a carrier.
func TestCancelledPause(t *testing.T) {
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		b := newBench(t, backend)
		if _, err := b.run(`for i = 1, 10 do fwx.after(0, function() fwx.sleep(3600) end) end`); err != nil {
			t.Fatal(err)
		}
		fwxtest.Eventually(t, patience, "all wait", func() bool { n, waiting := b.carriers(t); return n == 0 && waiting == 10 })
		b.close()
	})
}

// TestWaitingObject sees that a file is not closed as forgotten while it is being read.
func TestWaitingObject(t *testing.T) {
	b := newBench(t, anyBackend)
	path := filepath.Join(b.dir, "read/fifo")
	b.write("read/a", "") // makes the folder
	makeFIFO(t, path)
	fifo, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer fifo.Close()
	if _, err := b.run(`fwx.after(0, function() local s, err = assert(fwx.file.open("read/fifo")):read(0, 5) fwx.shared.set("read", s or err) end)`); err != nil {
		t.Fatal(err)
	}
	fwxtest.Eventually(t, patience, "it waits", func() bool { n, waiting := b.carriers(t); return n == 0 && waiting == 1 })
	runtime.GC()
	if _, err := fifo.WriteString("hello"); err != nil {
		t.Fatal(err)
	}
	var got string
	fwxtest.Eventually(t, patience, "it is read", func() bool {
		got, err = b.run(`return fwx.shared.get("read") or ""`)
		return err != nil || got != ""
	})
	if got != "hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestKilledPause ends scripts by force, whose handlers are to be woken only then.
func TestKilledPause(t *testing.T) {
	for _, source := range []string{`fwx.sleep(3600)`, `pcall(fwx.sleep, 3600)`} {
		b := newBench(t, anyBackend)
		if _, err := b.run(`for i = 1, 10 do fwx.after(0, function() ` + source + ` end) fwx.every(0.001, function() end) end`); err != nil {
			t.Fatal(err)
		}
		fwxtest.Eventually(t, patience, "all wait", func() bool { _, waiting := b.carriers(t); return waiting >= 10 })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_ = b.state.filter.FilterShutdown(ctx)               // some may have ended by themselves
		if err := b.port.Shutdown(t.Context()); err != nil { // after what was posted
			t.Error(err)
		}
		b.closed = true
		if n := b.port.Panics(); n > 0 {
			t.Errorf("%s: %d panics:\n%s", source, n, b.log)
		}
	}
}

// TestWaitingArguments counts what a call was given that waits.
func TestWaitingArguments(t *testing.T) {
	const size, calls = 1 << 20, 10
	for _, call := range []string{`fwx.shared.set("key", arg(i))`, `pcall(fwx.shared.set, "key", arg(i))`} {
		b := newBench(t, anyBackend)
		b.state.filter.store = silentStore{}
		source := fmt.Sprintf(`local function arg(i) return ("x"):rep(%d) .. i end for i = 1, %d do fwx.after(0, function() local ok = %s return ok end) end`, size, calls, call)
		if _, err := b.run(source); err != nil {
			t.Fatal(err)
		}
		fwxtest.Eventually(t, patience, "all wait", func() bool { _, waiting := b.carriers(t); return waiting == calls })
		onWorker(b, func() {
			if n := b.state.census(1 << 40); n < calls*size {
				t.Errorf("%s: %d bytes", call, n)
			}
		})
	}
}

// silentStore is a store that never answers.
type silentStore struct{ store.Store }

// Do begins a request.
func (silentStore) Do(store.Request, store.Answerer) (result store.Result, done bool) {
	return result, false
}

// TestPanickingRest sees that a panic of the host behind a wait is an error which names
// the function, and is logged.
func TestPanickingRest(t *testing.T) {
	for _, call := range []string{`boom()`, `select(2, pcall(boom))`} {
		b := newBench(t, anyBackend)
		onWorker(b, func() {
			b.state.L.SetGlobal("boom", b.state.function(binding{name: "boom", call: func(s *state, L *lua.LState) int {
				return s.startSleep(L, 0).pause(L, func(*fiber, *lua.LState) int { panic("on purpose") })
			}}))
		})
		got, err := b.run(`local err = ` + call + ` return err`)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, "boom failed in the host: on purpose") || !strings.Contains(b.log.String(), "a function for scripts panicked") {
			t.Errorf("%s: %q, %v", call, got, err)
		}
	}
}
