package scripting

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
	"fwx/framework/fwxtest"
)

// gateway is a firewall with one script between a client and an echo server.
type gateway struct {
	tb     testing.TB
	dir    string
	log    *record
	fw     *framework.Firewall
	filter framework.Filter
	config framework.Config
}

// echo starts a server that sends back what it receives.
func echo(tb testing.TB) string {
	tb.Helper()
	return serve(tb, "tcp", "127.0.0.1:0", func(c net.Conn) { _, _ = io.Copy(struct{ io.Writer }{c}, c) }) // not spliced: that keeps pipes
}

func newGateway(tb testing.TB, backend, source string, change ...func(*Settings)) *gateway {
	tb.Helper()
	return newGatewayOf(tb, 1, backend, source, change...)
}

// newGatewayOf makes a gateway of several workers.
func newGatewayOf(tb testing.TB, workers int, backend, source string, change ...func(*Settings)) *gateway {
	tb.Helper()
	return newGatewayTo(tb, echo(tb), workers, backend, source, change...)
}

// newGatewayTo makes a gateway to a server.
func newGatewayTo(tb testing.TB, server string, workers int, backend, source string, change ...func(*Settings)) *gateway {
	tb.Helper()
	return newGatewayFrom(tb, server, framework.Config{Service: framework.ServiceConfig{Backend: backend, Workers: workers}}, source, change...)
}

// newGatewayFrom completes a configuration by the script.
func newGatewayFrom(tb testing.TB, server string, config framework.Config, source string, change ...func(*Settings)) *gateway {
	tb.Helper()
	g := &gateway{tb: tb, dir: tb.TempDir(), log: &record{}}
	settings := Settings{
		Name: "test", Script: "test.lua", Source: "local fwx = require 'fwx'; local M = {}; " + source + "\nreturn M",
		Dir: g.dir, Allow: Allow{Read: []string{"."}, Write: []string{"var/"}}, Interpreter: os.Getenv(interpreterVariable),
	}
	for _, c := range change {
		c(&settings)
	}
	var err error
	if g.filter, err = New(settings); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("log:\n%s", g.log)
		}
	})
	g.filter.(*filter).timeLimit = holdLimit
	config.Service.Drain = time.Second
	config.Upstreams = []framework.UpstreamConfig{{Name: "site", Servers: []string{server}}}
	config.Filters = []framework.FilterConfig{{Name: "test", Class: framework.ClassMiddle, Filter: g.filter}}
	config.Listeners = []framework.ListenerConfig{{Name: "web", Listen: "127.0.0.1:0", Upstream: "site", Filters: []string{"test"}}}
	config.Logger = g.log.logger()
	g.config = config
	if g.fw, err = framework.New(g.config, framework.NewRegistry(Factory())); err != nil {
		tb.Fatal(err)
	}
	return g
}

// start starts the firewall; the end of the test shuts it down.
func (g *gateway) start() *gateway {
	g.tb.Helper()
	if err := g.fw.Start(g.tb.Context()); err != nil {
		g.tb.Fatal(err)
	}
	g.tb.Cleanup(g.stop)
	return g
}

func (g *gateway) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := g.fw.Shutdown(ctx); err != nil {
		g.tb.Error(err)
	}
}

// waiting returns how many handlers wait on the first worker.
func (g *gateway) waiting() (n int) {
	s := g.filter.(*filter).states[0]
	if err := s.worker.Call(func() { n = len(s.active) }); err != nil {
		g.tb.Error(err)
	}
	return n
}

// waitsIn returns the function that the one handler waits in that waits on the first worker.
func (g *gateway) waitsIn() (call string) {
	s := g.filter.(*filter).states[0]
	err := s.worker.Call(func() {
		for f := range s.active {
			call, _ = f.place()
		}
	})
	if err != nil {
		g.tb.Error(err)
	}
	return call
}

func (g *gateway) dial() net.Conn {
	g.tb.Helper()
	c, err := g.tryDial()
	if err != nil {
		g.tb.Fatal(err)
	}
	return c
}

// tryDial fails when the connection is reset before the client knows that it has
// been accepted.
func (g *gateway) tryDial() (net.Conn, error) {
	g.tb.Helper()
	var d net.Dialer
	c, err := d.DialContext(g.tb.Context(), "tcp", g.fw.ListenAddress("web").String())
	if err != nil {
		return nil, err
	}
	g.tb.Cleanup(func() { _ = c.Close() })
	return c, c.SetDeadline(time.Now().Add(patience))
}

// exchange sends a text over a new connection and returns all that comes back.
func (g *gateway) exchange(text string) (string, error) {
	g.tb.Helper()
	c, err := g.tryDial()
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := c.Write([]byte(text)); err != nil {
		return "", err
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(c)
	return string(answer), err
}

// logged waits until the log has a text.
func (g *gateway) logged(text string) {
	g.tb.Helper()
	fwxtest.Eventually(g.tb, patience, "the log has "+text, func() bool { return strings.Contains(g.log.String(), text) })
}

// onBackends runs a test on every backend.
func onBackends(t *testing.T, test func(t *testing.T, backend string)) {
	t.Helper()
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) { test(t, backend) })
	}
}

func TestVerdicts(t *testing.T) {
	rows := []struct{ name, source, sent, got, log string }{
		{"nothing", ``, "abc", "abc", ""},
		{"on_data nil", `function M.on_data() end`, "abc", "abc", ""},
		{"replace", `function M.on_data(conn, chunk, dir) if dir == "upstream" then return tostring(chunk):upper() end end`, "abc", "ABC", ""},
		{"the chunk itself", `function M.on_data(conn, chunk) return chunk end`, "abc", "abc", ""},
		{"drop", `function M.on_data(conn, chunk, dir) if dir == "downstream" then return fwx.drop end end`, "abc", "", ""},
		{"empty", `function M.on_data(conn, chunk, dir) if dir == "downstream" then return "" end end`, "abc", "", ""},
		{"deny data", `function M.on_data(conn, chunk, dir) return fwx.deny("no " .. chunk) end`, "abc", "!", `reason="no abc"`},
		{"deny", `function M.on_connect(conn) return fwx.deny("not you") end`, "abc", "!", `reason="not you"`},
		{"allow", `function M.on_connect(conn) end`, "abc", "abc", ""},
		{"wrong result of on_data", `function M.on_data() return {} end`, "abc", "!", "on_data returned a table; wants nil, a string, fwx.drop or fwx.deny(...)"},
		{"wrong result of on_connect", `function M.on_connect() return false end`, "abc", "!", "on_connect returned a boolean; wants nil or fwx.deny(...)"},
		{"wrong result of on_close", `function M.on_close() return 1 end`, "abc", "abc", "on_close returned a number; wants nil"},
		{"error in on_data", `function M.on_data()
			error("oops") end`, "abc", "!", "test.lua:2: oops"},
		{"error in on_connect", `function M.on_connect() local x = nil + 1 end`, "abc", "!", "cannot perform add operation"},
		{"error in on_close", `function M.on_close() error({}) end`, "abc", "abc", "an error that is a table"},
		{"error in on_shutdown", `function M.on_shutdown() error("bye") end`, "abc", "abc", ""},
		{"endless loop", `function M.on_data() while true do end end`, "abc", "!", "test.lua:1: the instruction budget is spent"},
		{"swallowed", `function M.on_data() while true do pcall(function() while true do end end) end end`, "abc", "!", "the instruction budget is spent"},
		{"recursion", `local function f() return 1 + f() end function M.on_data() f() end`, "abc", "!", "stack overflow"},
		{"sleep in on_connect", `function M.on_connect() fwx.sleep(0.01) end`, "abc", "abc", ""},
		{"sleep in on_data", `function M.on_data(_, chunk) fwx.sleep(0.01) return chunk:sub(1) .. "!" end`, "abc", "abc!!", ""},
		{"sleep and deny", `function M.on_connect() fwx.sleep(0.01) return fwx.deny("late") end`, "abc", "!", "reason=late"},
		{"inject", `function M.on_data(conn, chunk, dir) if dir == "upstream" then assert(conn:send("downstream", "hi ")) assert(conn:send(dir, chunk)) end end`, "abc", "hi abcabc", ""},
		{"close", `function M.on_data(conn) conn:close() local ok, err = pcall(fwx.sleep, 1) fwx.log.info("then " .. err) end`, "abc", "!", "then test.lua:1: connection ended"},
		{"reset", `function M.on_data(conn) conn:reset() end`, "abc", "!", ""},
		{
			"fields", `function M.on_close(c) fwx.log.info("end", {up = c.bytes_up, down = c.bytes_down, v = c.verdict, r = c.reason, i = c.id, l = c.listener, u = c.upstream, c = c.client, p = c.client_port > 0, s = c.server ~= nil, d = c.duration >= 0}) end`, "abc", "abc",
			"connection=1 c=127.0.0.1 d=true down=3 i=1 l=web p=true s=true u=site up=3 v=pass",
		},
		{"unknown field", `function M.on_connect(conn) return conn.cilent end`, "abc", "!", `conn has no field "cilent"; did you mean "client"?`},
		{"settable field", `function M.on_connect(conn) conn.x = 1 end`, "abc", "!", "keep your own values in conn.ctx"},
		{"ctx", `function M.on_connect(conn) conn.ctx.x = "kept" end function M.on_close(conn) fwx.log.info(conn.ctx.x) end`, "abc", "abc", "msg=kept"},
		{"session", `function M.on_connect(conn) conn.session:set("a", "b") conn.session:incr("n") conn.session:incr("n", 2) end
			function M.on_close(conn) fwx.log.info(conn.session:get("a") .. conn.session:get("n") .. tostring(conn.session:get("none"))) end`, "abc", "abc", "msg=b3nil"},
		{"session value", `function M.on_connect(conn) conn.session:set("a", {}) end`, "abc", "!", "a session holds strings, numbers and booleans, not a table"},
		{"kept chunk", `local kept function M.on_data(conn, chunk) kept = chunk end function M.on_close() return kept:len() end`, "abc", "abc", "a chunk is valid in its on_data only"},
		{"chunk methods", `function M.on_data(conn, c, dir) if dir == "upstream" then return table.concat({#c, c:sub(2, -2), c:byte(1), select(2, c:find("cd")), tostring(c:starts_with("ab")), tostring(c:find("x")), tostring(c:find("a", 7)), (c:find("e", -1)), (c:find("", 9))}, ",") end end`, "abcde", "5,bcd,97,4,true,nil,nil,5,6", ""},
	}
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				g := newGateway(t, backend, row.source).start()
				got, err := g.exchange(row.sent)
				if row.got == "!" && got != "" || row.got != "!" && (err != nil || got != row.got) {
					t.Errorf("got %q, %v; want %q\n%s", got, err, row.got, g.log)
				}
				g.logged(row.log)
			})
		}
	})
}

func TestOnErrorPass(t *testing.T) {
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		g := newGateway(t, backend, `function M.on_connect() error("one") end function M.on_data() error("two") end`,
			func(s *Settings) { s.OnError = OnErrorPass }).start()
		if got, err := g.exchange("abc"); got != "abc" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		g.logged("one")
		g.logged("two")
	})
}

func TestRefusedStart(t *testing.T) {
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		for _, row := range []struct{ source, want string }{
			{`function M.on_init() error("no") end`, "test.lua:1: no"},
			{`function M.on_init() fwx.sleep(0.01) error("later") end`, "test.lua:1: later"},
			{`error("at once")`, "test.lua:1: at once"},
			{`M = 7`, "the script returned a number; it must return its table of handlers"},
			{`M.on_conect = print`, `there is no handler "on_conect"; did you mean "on_connect"?`},
			{`M.on_data = 1`, "on_data is a number; it must be a function"},
			{`function M.on_init() while true do end end`, "the instruction budget is spent"},
			{`function M.on_init() return 1 end`, "on_init returned a number; wants nil"},
		} {
			g := newGateway(t, backend, row.source)
			err := g.fw.Start(t.Context())
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%s: started with %v; want %q", row.source, err, row.want)
			}
		}
	})
}

// TestStalledFile holds 64 connections on a FIFO, sees that others go on, and
// lets them go.
func TestStalledFile(t *testing.T) {
	const held = 64
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		g := newGateway(t, backend, `
			function M.on_data(conn, chunk, dir)
				if chunk:starts_with("wait") and dir == "upstream" then
					local f = assert(fwx.file.open("fifo", "r+"))
					local ok, got = pcall(function() return assert(f:read(0, 1)) end)
					f:close()
					if not ok then error(got, 0) end
					return chunk .. got
				end
			end`, func(s *Settings) { s.Allow.Write = []string{"var/", "fifo"} })
		fifo := filepath.Join(g.dir, "fifo")
		makeFIFO(t, fifo)
		g.start()
		waiting := make([]net.Conn, 0, held)
		for range held {
			c := g.dial()
			if _, err := c.Write([]byte("wait")); err != nil {
				t.Fatal(err)
			}
			waiting = append(waiting, c)
		}
		for range 100 {
			if got, err := g.exchange("abc"); got != "abc" || err != nil {
				t.Fatalf("a bystander got %q, %v", got, err)
			}
		}
		f, err := os.OpenFile(fifo, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.Write(bytes.Repeat([]byte("!"), held)); err != nil {
			t.Fatal(err)
		}
		for _, c := range waiting {
			answer := make([]byte, 5)
			if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "wait!" {
				t.Fatalf("got %q, %v", answer, err)
			}
		}
	})
}

// TestEndWhileHeld ends connections whose handlers wait.
func TestEndWhileHeld(t *testing.T) {
	for _, row := range []struct{ name, source string }{
		{"sleep in on_data", `function M.on_data() fwx.sleep(3600) end`},
		{"file in on_data", `function M.on_data() fwx.file.read("fifo") end`},
		{"write in on_data", `function M.on_data(_, chunk)
			local f = assert(fwx.file.open("fifo", "r+"))
			f:write(0, ("x"):rep(2^16)) -- as much as a FIFO takes
			f:write(0, chunk) end`},
		{"sleep in on_connect", `function M.on_connect() fwx.sleep(3600) end`},
		{"file in on_connect", `function M.on_connect() fwx.file.read("fifo") end`},
	} {
		source := strings.ReplaceAll(row.source, "fwx.file.read(", "assert(fwx.file.open('fifo', 'r+')):read(0, ")
		source = strings.ReplaceAll(source, `0, "fifo")`, "0, 1)")
		source += ` function M.on_close(conn) fwx.log.info("closed", {ok = true}) end`
		onBackends(t, func(t *testing.T, backend string) {
			t.Helper()
			t.Run(row.name, func(t *testing.T) {
				g := newGateway(t, backend, source, func(s *Settings) { s.Allow.Write = []string{"fifo"} })
				if strings.Contains(source, "fifo") {
					makeFIFO(t, filepath.Join(g.dir, "fifo"))
				}
				g.start()
				c := g.dial()
				if _, err := c.Write([]byte("abc")); err != nil {
					t.Fatal(err)
				}
				fwxtest.Eventually(t, patience, "the handler waits", func() bool { return g.waiting() > 0 })
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
				defer cancel()
				if err := g.fw.Shutdown(ctx); err != nil {
					t.Error(err)
				}
				g.logged("connection ended")
				g.logged("msg=closed")
			})
		})
	}
}

// TestSlowClose sees that a file can be written in on_close.
func TestSlowClose(t *testing.T) {
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		g := newGateway(t, backend, `function M.on_close(conn) fwx.sleep(0.01) assert(fwx.file.write("var/" .. conn.id, "x")) end`).start()
		for range 3 {
			if _, err := g.exchange("abc"); err != nil {
				t.Error(err)
			}
		}
		g.stop()
		for i := range 3 {
			if _, err := os.Stat(filepath.Join(g.dir, "var", strconv.Itoa(i+1))); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestForgottenFiles sees that what a connection's handlers leave open is closed
// with it.
func TestForgottenFiles(t *testing.T) {
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		g := newGateway(t, backend, `
			local first
			function M.on_connect(conn)
				if first then fwx.log.info((select(2, first:read(0, 1)))) end
				first = assert(fwx.file.open("var/x", "w+"))
				assert(fwx.file.open("var/y", "a")):append("y")
			end`).start()
		for range 20 {
			if _, err := g.exchange("abc"); err != nil {
				t.Error(err)
			}
		}
		g.logged("var/x is closed: it was opened in a handler of a connection that has ended")
		f := g.filter.(*filter)
		fwxtest.Eventually(t, patience, "nothing is open", func() (ok bool) {
			err := f.states[0].worker.Call(func() { ok = len(f.states[0].resources) == 0 && f.states[0].pending == 0 })
			return ok && err == nil
		})
	})
}

// TestCollectedFiles sees that a file that a script has lost is closed.
func TestCollectedFiles(t *testing.T) {
	const files = 100
	b := newBench(t, "auto")
	b.write("read/a", "a")
	if _, err := b.run(`for i = 1, 100 do assert(fwx.file.open("read/a")) end`); err != nil {
		t.Fatal(err)
	}
	fwxtest.Eventually(t, patience, "most files are closed", func() (ok bool) {
		runtime.GC()
		err := b.state.worker.Call(func() { ok = len(b.state.resources) < files/2 })
		return ok && err == nil
	})
}

// TestNestedHandlers ends connections from a timer, so that on_close begins on the
// fiber of that timer, and waits.
func TestNestedHandlers(t *testing.T) {
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		g := newGateway(t, backend, `
			function M.on_data(conn)
				fwx.after(0.01, function() conn:close() fwx.log.info("closed " .. conn.id) fwx.sleep(0.01) fwx.log.info("after " .. conn.id) end)
				if conn.id % 2 == 0 then fwx.sleep(3600) end
			end
			function M.on_close(conn) fwx.sleep(0.02) fwx.log.info("ended " .. conn.id .. " " .. conn.verdict) end`).start()
		var clients sync.WaitGroup
		for range 10 {
			clients.Go(func() { _, _ = g.exchange("abc") }) // it is cut off
		}
		clients.Wait()
		for i := 1; i <= 10; i++ {
			for _, what := range []string{"closed", "after", "ended"} {
				g.logged(fmt.Sprintf("%s %d", what, i))
			}
		}
	})
}

// TestWorkers has clients on several workers, and a session that they share.
func TestWorkers(t *testing.T) {
	const workers, clients, rounds = 3, 16, 20
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		g := newGatewayOf(t, workers, backend, `
			function M.on_init() fwx.log.info("begun") end
			function M.on_connect(conn) if conn.client_port % 2 == 0 then fwx.sleep(0.001) end assert(conn.session:incr("n")) end
			function M.on_data(conn, chunk, dir) if dir == "upstream" then fwx.sleep(0.001) return chunk .. "!" end end
			function M.on_close(conn) fwx.log.info("total " .. conn.session:get("n")) end
			function M.on_shutdown() fwx.sleep(0.001) fwx.log.info("over") end`).start()
		last := g.dial() // keeps the session
		if _, err := io.WriteString(last, "x"); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range clients {
			all.Go(func() {
				for range rounds {
					if got, err := g.exchange("abc"); err != nil || got != "abc!" {
						t.Errorf("got %q, %v", got, err)
					}
				}
			})
		}
		all.Wait()
		g.logged(fmt.Sprintf("total %d", clients*rounds+1))
		_ = last.Close()
		g.stop()
		if log := g.log.String(); strings.Count(log, "begun") != workers || strings.Count(log, "over") != workers {
			t.Errorf("not every worker began and ended:\n%s", log)
		}
	})
}

// TestCloseLimit sees that a connection does not wait for ever for its on_close.
func TestCloseLimit(t *testing.T) {
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		g := newGateway(t, backend, `
			function M.on_close() local ok, err = pcall(fwx.sleep, 3600) fwx.log.info("woken: " .. err) end`)
		g.filter.(*filter).closeLimit = 20 * time.Millisecond
		g.start()
		if got, err := g.exchange("abc"); got != "abc" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		fwxtest.Eventually(t, patience, "the connection is gone", func() bool { return g.fw.Connections() == 0 })
		g.logged("woken: test.lua:2: the handler took too long")
	})
}

// TestStuckOperation ends a state that waits for what never comes.
func TestStuckOperation(t *testing.T) {
	b := newBench(t, "auto")
	b.state.filter.killLimit = -shutdownLimit
	release := make(chan struct{})
	onWorker(b, func() {
		b.state.install(b.state.L.G.Global, binding{name: "stick", call: func(s *state, L *lua.LState) int {
			_, err := s.block(L, func() (any, error) { <-release; return nil, nil })
			return giveDone(L, err)
		}})
	})
	if _, err := b.run(`for i = 1, 3 do fwx.after(0, function() while true do pcall(stick) end end) end fwx.sleep(0.02)`); err != nil {
		t.Fatal(err)
	}
	err := b.state.filter.FilterShutdown(t.Context())
	if err == nil || !strings.Contains(err.Error(), "3 handlers or files did not end by themselves") {
		t.Errorf("it ended with %v", err)
	}
	close(release)
	b.closed = true
	if err := b.port.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestErrorRate(t *testing.T) {
	g := newGateway(t, anyBackend, `function M.on_connect() error("again") end`, func(s *Settings) { s.Breaker = -1 })
	g.filter.(*filter).failures.began = time.Now().Add(time.Hour) // the window does not end meanwhile
	g.start()
	for range 30 {
		_, _ = g.exchange("abc") // it is refused
	}
	g.stop()
	if n := strings.Count(g.log.String(), `"script error"`); n != failureLimit {
		t.Errorf("%d errors were logged, not %d", n, failureLimit)
	}
	g.logged("count=20")
}

// eventually waits until difference returns nothing.
func eventually(tb testing.TB, what string, difference func() string) {
	tb.Helper()
	last := ""
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		if last = difference(); last == "" {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	tb.Errorf("not within %v: %s: %s", patience, what, last)
}
