package scripting

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/fwxtest"
)

// TestTimeout bounds each call that waits.
func TestTimeout(t *testing.T) {
	runSnippets(t, func(b *bench) {
		release := make(chan struct{})
		b.tb.Cleanup(func() { close(release) })
		onWorker(b, func() { b.state.install(b.state.L.G.Global, stick(release)) })
		b.write("var/x", "hello")
		b.write("slow.lua", "require('fwx').sleep(3600)")
	}, []snippet{
		{"in time", `return table.concat({fwx.timeout(60, function(a, b) fwx.sleep(0.001) return a, b, 3 end, 1, 2)}, ",")`, "1,2,3"},
		{"nothing", `return select("#", fwx.timeout(60, function() end))`, "0"},
		{"of the function itself", `return fwx.timeout(60, fwx.file.read, "var/x")`, "hello"},
		{"sleep", `local a, err, code = fwx.timeout(0.01, fwx.sleep, 3600) return tostring(a) .. err .. code`, "nilnot done within 10mstimeout"},
		{"module", `return select(3, fwx.timeout(0.01, require, "slow"))`, "timeout"},
		{"what cannot be stopped", `return select(3, fwx.timeout(0.01, stick)) .. fwx.file.read("var/x")`, "timeouthello"},
		{"several that cannot be stopped", `local n = 0 for i = 1, 5 do if select(3, fwx.timeout(0.001, stick)) == "timeout" then n = n + 1 end end return n`, "5"},
		{"inner first", `local out = {} local a, _, code = fwx.timeout(60, function() out[1] = select(3, fwx.timeout(0.01, fwx.sleep, 3600)) return "outer" end) return out[1] .. a`, "timeoutouter"},
		{"outer first", `local reached local a, err = fwx.timeout(0.01, function() fwx.timeout(60, fwx.sleep, 3600) reached = true end) return err .. tostring(reached)`, "not done within 10msnil"},
		{"caught", `local a, err, code = fwx.timeout(0.01, function() pcall(fwx.sleep, 3600) local ok, err = pcall(fwx.sleep, 3600) error(err, 0) end) return code`, "timeout"},
		{"caught and gone on", `return fwx.timeout(0.01, function() pcall(fwx.sleep, 3600) return "result" end)`, "result"},
		{"error", `local ok, err = pcall(fwx.timeout, 60, function() fwx.sleep(0.001) error("mine", 0) end) return err`, "mine"},
		{"error that is a table", `local ok, err = pcall(fwx.timeout, 60, function() error({x = 7}) end) return err.x`, "7"},
		{"another error after it", `local ok, err = pcall(fwx.timeout, 0.01, function() pcall(fwx.sleep, 3600) error("mine", 0) end) return err`, "mine"},
		{"in a coroutine", `return coroutine.wrap(function() return select(3, fwx.timeout(0.01, fwx.sleep, 3600)) end)()`, "timeout"},
		{"around a coroutine", `return select(3, fwx.timeout(0.01, coroutine.wrap(function() fwx.sleep(3600) end)))`, "timeout"},
		{"yield out of it", `local co = coroutine.create(function() return fwx.timeout(60, function() coroutine.yield(1) end) end) return select(2, coroutine.resume(co))`, "test.lua:1: attempt to yield across a pcall, metamethod, iterator or callback"},
		{"over afterwards", `fwx.timeout(0.001, fwx.sleep, 3600) fwx.timeout(0.01, function() end) fwx.sleep(0.03) return "ok"`, "ok"},
		{"again and again", `local n = 0 for i = 1, 200 do if not fwx.timeout(0.0005, fwx.sleep, 3600) then n = n + 1 end end return n`, "200"},
		{"of a loop", `fwx.timeout(0.001, function() while true do end end)`, "!the instruction budget is spent"},
		{"negative", `fwx.timeout(-1, print)`, "!seconds from 0 to a year expected"},
		{"no function", `fwx.timeout(1)`, "!function expected"},
	}, func(s *Settings) { s.Budget = 1_000_000 })
}

// TestTimeoutOfFiles bounds what waits for a file.
func TestTimeoutOfFiles(t *testing.T) {
	runSnippets(t, func(b *bench) {
		b.write("var/x", "")
		makeFIFO(b.tb, filepath.Join(b.dir, "var", "fifo"))
		makeFIFO(b.tb, filepath.Join(b.dir, "var", "other"))
	}, []snippet{
		{"read", `local f = assert(fwx.file.open("var/fifo", "r+")) return select(3, fwx.timeout(0.01, f.read, f, 0, 1))`, "timeout"},
		{"file after it", `local f = assert(fwx.file.open("var/fifo", "r+")) fwx.timeout(0.01, f.read, f, 0, 1) f:write(0, "abc") return f:read(0, 3)`, "abc"},
		{"write", `local f = assert(fwx.file.open("var/fifo", "r+")) f:write(0, ("x"):rep(2^16)) return select(3, fwx.timeout(0.01, f.write, f, 0, "y"))`, "timeout"},
		{"overlapped", `local h = assert(fwx.firewall:hook_to_completion_port("var/other", "r+")) local ov = fwx.firewall:create_overlapped()
			ov:set_notification_interface(function() end) assert(h:read_file(ov:get_overlapped{}, 1))
			local code = select(3, fwx.timeout(0.01, ov.wait, ov)) h:close() return code`, "timeout"},
	})
}

// TestLateWake has limits expire when what is waited for comes.
func TestLateWake(t *testing.T) {
	runSnippets(t, nil, []snippet{
		{"sleep", `local late = 0 for i = 1, 200 do fwx.timeout(0.001, fwx.sleep, 0.001) local c = fwx.clock() fwx.sleep(0.002) if fwx.clock() - c < 0.0015 then late = late + 1 end end return late`, "0"},
	})
}

const socketsOf = `local function open() local s = assert(fwx.connect("tcp://ADDR")) s:send("stall\n") return s end `

// TestEndWithSockets ends connections whose handlers use sockets.
func TestEndWithSockets(t *testing.T) {
	full := serve(t, "tcp", "127.0.0.1:0", commands)
	var heard atomic.Int64
	deaf := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
		n, _ := io.CopyN(io.Discard, c, 1)
		heard.Add(n)
		_, _ = io.Copy(io.Discard, c)
	})
	for _, row := range []struct{ call, source string }{
		{"receive", `function M.on_data() open():receive(1, 3600) end`},
		{"send", `function M.on_data() local s = open() while true do assert(s:send(("x"):rep(2^20), 3600)) end end`},
		{"connect", `function M.on_data() assert(fwx.connect("tls://DEAF", {timeout = 3600})) end`},
		{"get", `function M.on_connect() assert(fwx.http.get("http://DEAF/", {timeout = 3600})) end`},
		{"lookup", `function M.on_connect() assert(fwx.dns.lookup("slow.test", {timeout = 3600})) end`},
		{"receive", `function M.on_connect() fwx.timeout(3600, function() open():receive(1, 3600) end) end`},
	} {
		source := socketsOf + row.source + ` function M.on_close(conn) local s = open() local d, err, code = s:receive(1, 0.01) fwx.log.info("closed: " .. code) end`
		source = strings.NewReplacer("ADDR", full, "DEAF", deaf).Replace(source)
		onBackends(t, func(t *testing.T, backend string) {
			t.Helper()
			t.Run(row.call, func(t *testing.T) {
				g := newGateway(t, backend, source, toLoopback, func(s *Settings) { s.Allow.DNS = []string{"*"} })
				f := g.filter.(*filter)
				f.settings.System.Resolver = newDirectory(nil)
				g.start()
				heard.Store(0)
				c := g.dial()
				if _, err := c.Write([]byte("abc")); err != nil {
					t.Fatal(err)
				}
				if strings.Contains(row.source, "DEAF") {
					fwxtest.Eventually(t, patience, "the server has got something", func() bool { return heard.Load() > 0 })
				}
				fwxtest.Eventually(t, patience, "a handler waits in "+row.call, func() bool { return g.waitsIn() == row.call })
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
				defer cancel()
				if err := g.fw.Shutdown(ctx); err != nil {
					t.Error(err)
				}
				g.logged("connection ended")
				g.logged("closed: timeout")
				if n := f.states[0].sockets; n != 0 {
					t.Errorf("%d sockets are left", n)
				}
			})
		})
	}
}

// TestForgottenSockets sees that what a connection's handlers leave open is closed
// with it, and that they have no more than their share.
func TestForgottenSockets(t *testing.T) {
	server := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		g := newGateway(t, backend, strings.ReplaceAll(`
			local first
			function M.on_connect(conn)
				if first then fwx.log.info((select(2, first:receive()))) end
				first = assert(fwx.connect("tcp://ADDR"))
				for i = 2, 64 do conn.ctx[i] = assert(fwx.connect("tcp://ADDR")) end -- or the collector could close some
				local s, err, code = fwx.connect("tcp://ADDR")
				fwx.log.info(code .. ": " .. err)
			end`, "ADDR", server), toLoopback).start()
		for range 3 {
			if got, err := g.exchange("abc"); got != "abc" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		}
		g.logged("is closed: it was opened in a handler of a connection that has ended")
		g.logged("full: connect to " + server + ": the handlers of this connection have 64 sockets already")
		s := g.filter.(*filter).states[0]
		fwxtest.Eventually(t, patience, "nothing is open", func() (ok bool) {
			err := s.worker.Call(func() { ok = len(s.resources) == 0 && s.sockets == 0 })
			return ok && err == nil
		})
	})
}

// TestManySockets has a thousand at a time, half of which are still waited for
// when the script ends.
func TestManySockets(t *testing.T) {
	const count = 1000
	answer := func(c net.Conn) {
		buf := make([]byte, 16)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
	}
	address := serve(t, "tcp", "127.0.0.1:0", answer)
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		b := newBench(t, backend, toLoopback)
		got, err := b.run(fmt.Sprintf(`
			local n, all = 0, {}
			for i = 1, %d do fwx.after(0, function()
				local s = assert(fwx.connect("tcp://%s"))
				all[i] = s
				assert(s:send("hello"))
				if s:receive(5) == "hello" then n = n + 1 end
				if i %% 2 == 0 then s:receive(1, 3600) end
			end) end
			while n < %d do fwx.sleep(0.001) end
			return n`, count, address, count))
		if got != "1000" || err != nil {
			t.Errorf("got %q, %v\n%s", got, err, b.log)
		}
		b.close()
		if b.state.sockets != 0 {
			t.Errorf("%d sockets are left", b.state.sockets)
		}
	})
}

// TestSocketFlood opens more sockets than a script may have.
func TestSocketFlood(t *testing.T) {
	address := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	b := newBench(t, anyBackend, toLoopback)
	onWorker(b, func() { b.state.sockets = maxSockets - 100 }) // as if there were so many
	got, err := b.run(`local all = {} for i = 1, 200 do
		local s, err, code = fwx.connect("tcp://` + address + `") if not s then return i .. code end all[i] = s end`)
	if got != "101full" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	onWorker(b, func() { b.state.sockets -= maxSockets - 100 })
}

// TestKilledSockets ends by force a state whose handlers use sockets and do not end.
func TestKilledSockets(t *testing.T) {
	deaf := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		b := newBench(t, backend, toLoopback)
		b.state.filter.killLimit = -shutdownLimit
		release := make(chan struct{})
		onWorker(b, func() { b.state.install(b.state.L.G.Global, stick(release)) })
		_, err := b.run(strings.ReplaceAll(`
			fwx.after(0, function() fwx.connect("tls://ADDR", {timeout = 3600}) end)
			fwx.after(0, function() fwx.http.get("http://ADDR/", {timeout = 3600}) end)
			fwx.after(0, function() local s = fwx.connect("tcp://ADDR") s:receive(1, 3600) end)
			fwx.after(0, function() while true do pcall(stick) end end)
			fwx.after(0, function() fwx.timeout(0.001, stick) end)
			fwx.sleep(0.05)`, "ADDR", deaf))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.state.filter.FilterShutdown(ctx); err == nil {
			t.Error("it ended by itself")
		}
		close(release)
		b.closed = true
		if err := b.port.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// stick is a function that waits for what cannot be stopped.
func stick(release <-chan struct{}) binding {
	return binding{name: "stick", call: func(s *state, L *lua.LState) int {
		_, err := s.block(L, func() (any, error) { <-release; return nil, nil })
		return giveDone(L, err)
	}}
}

// TestTimeoutTraceback sees that an error which passes through fwx.timeout is logged with
// the lines that it came from.
func TestTimeoutTraceback(t *testing.T) {
	for _, row := range []struct{ name, body, want string }{
		{"one", "fwx.timeout(60, outer)", `\n\ttest.lua:2: in function 'inner'\n\ttest.lua:3: in function`},
		{"nested", "fwx.timeout(60, function() fwx.timeout(60, outer) end)", `\n\ttest.lua:2: in function 'inner'\n\ttest.lua:3: in function`},
		{"through a pcall that passes on", "fwx.timeout(60, function() local ok, err = pcall(fwx.timeout, 60, outer) error(err, 0) end)", `\n\ttest.lua:2: in function 'inner'\n\ttest.lua:3: in function`},
		{"of another error", "fwx.timeout(60, function() pcall(fwx.timeout, 60, outer)\nerror('oops') end)", `\n\ttest.lua:7: in function <test.lua:6>`},
		{"after a wait", "fwx.timeout(60, function() fwx.sleep(0) outer() end)", `\n\ttest.lua:2: in function 'inner'\n\ttest.lua:3: in function 'outer'`},
		{"in a coroutine", "coroutine.wrap(function() fwx.timeout(60, outer) end)()", `\n\ttest.lua:6: in main chunk`},
		{"stack overflow", "local function f() return 1 + f() end fwx.timeout(60, f)", `stack overflow`},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := newGateway(t, anyBackend, `
				local function inner() error("oops") end
				local function outer() inner() return 1 end

				function M.on_connect()
					`+row.body+`
				end`).start()
			if got, _ := g.exchange("abc"); got != "" {
				t.Errorf("got %q", got)
			}
			g.logged("script error")
			g.logged(row.want)
		})
	}
}
