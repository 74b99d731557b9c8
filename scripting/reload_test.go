package scripting

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fwx/framework"
	"fwx/framework/fwxtest"
)

// newReloadable starts a gateway whose filter is of kind "lua", from a script and
// other files, by name.
func newReloadable(tb testing.TB, workers int, backend, script string, files map[string]string) *gateway {
	tb.Helper()
	g := newGatewayOf(tb, workers, backend, "")
	for name, text := range files {
		g.write(name, text)
	}
	g.write("test.lua", script)
	config, err := framework.ParseConfig("c.toml", []byte(`
[[filter]]
name = "test"
kind = "lua"
script = "test.lua"
[filter.allow]
read = ["."]
write = ["var/"]
connect = ["127.0.0.0/8:*"]
[filter.config]
echo = "`+g.config.Upstreams[0].Servers[0]+`"
`))
	if err != nil {
		tb.Fatal(err)
	}
	g.config.Filters, g.config.Dir = config.Filters, g.dir
	if g.fw, err = framework.New(g.config, framework.NewRegistry(Factory())); err != nil {
		tb.Fatal(err)
	}
	return g.start()
}

func (g *gateway) reload() {
	g.tb.Helper()
	if err := g.fw.Reload(g.tb.Context(), g.config); err != nil {
		g.tb.Fatal(err)
	}
}

// saying returns a script that puts a word before each chunk to the server.
func saying(word string) string {
	return `return { on_data = function(conn, chunk, direction)
		if direction == "upstream" then return "` + word + `" .. tostring(chunk) end
	end }`
}

// wantSaid checks which script a connection to an echo server has.
func wantSaid(tb testing.TB, c net.Conn, word string) {
	tb.Helper()
	if _, err := c.Write([]byte("!")); err != nil {
		tb.Fatal(err)
	}
	got := make([]byte, len(word)+1)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != word+"!" {
		tb.Errorf("got %q, %v; want %q", got, err, word+"!")
	}
}

// TestReload sees that connections keep the script they began with, that new ones
// have the new one, and that a script that is not good changes nothing.
func TestReload(t *testing.T) {
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		g := newReloadable(t, 2, backend, saying("one"), nil)
		old := g.dial()
		wantSaid(t, old, "one")
		g.write("test.lua", saying("two"))
		g.reload()
		wantSaid(t, old, "one")
		wantSaid(t, g.dial(), "two")
		for _, row := range []struct{ name, script, want string }{
			{"syntax", "return {\n on_data = function( }", `test.lua:2: syntax error`},
			{"no table", "return 1", "test.lua:1: the script returned a number"},
			{"error", "local x = nil\nreturn x.y", "test.lua:2: attempt to index"},
			{"on_init", "return { on_init = function()\n error('no list')\nend }", "test.lua:2: no list"},
			{"module", "require 'none'", `module "none"`},
		} {
			g.write("test.lua", row.script)
			if err := g.fw.Reload(t.Context(), g.config); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%s: %v, want %s", row.name, err, row.want)
			}
			wantSaid(t, old, "one")
			wantSaid(t, g.dial(), "two")
		}
		g.write("test.lua", saying("three"))
		g.reload()
		wantSaid(t, old, "one")
		wantSaid(t, g.dial(), "three")
	})
}

// TestReloadCarriesOver sees that a script that has not changed keeps its variables,
// until it or a module of it does.
func TestReloadCarriesOver(t *testing.T) {
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		const counting = `local word, n = require "lib.word", 0
			return {
				on_connect = function() n = n + 1 end,
				on_data = function(_, chunk, direction) if direction == "upstream" then return word .. n end end
			}`
		g := newReloadable(t, 1, backend, counting, map[string]string{"lib/word.lua": "return 'a'"})
		want := func(text string) {
			t.Helper()
			if got, err := g.exchange("x"); got != text || err != nil {
				t.Errorf("got %q, %v; want %q", got, err, text)
			}
		}
		files := func() (names []string) {
			for _, f := range g.fw.Files() {
				name, _ := filepath.Rel(g.dir, f.Path) // it is beneath
				names = append(names, filepath.ToSlash(name))
			}
			return names
		}
		if got := files(); !slices.Equal(got, []string{"test.lua", "lib/word.lua"}) {
			t.Errorf("files %v", got)
		}
		want("a1")
		g.reload()
		want("a2")
		g.write("test.lua", counting+" ")
		g.reload()
		want("a1")
		g.reload()
		want("a2")
		g.write("lib/word.lua", "return 'b'")
		g.reload()
		want("b1")
	})
}

// TestRetire sees that what a script does at intervals ends when it is replaced, and
// that what belongs to connections and watches goes on until the last one has ended.
func TestRetire(t *testing.T) {
	const script = `local fwx = require "fwx"
		local function again() fwx.log.info("NAME again") fwx.after(0.01, again) end
		local function hold() while true do fwx.sleep(0.01) end end
		return {
			on_init = function()
				fwx.every(0.01, function() fwx.log.info("NAME every") end)
				fwx.after(0, again)
				fwx.after(0, hold)
				fwx.after(0, function() fwx.sleep(3600) end)
				assert(fwx.file.watch("list", function()
					fwx.after(0, function() fwx.log.info("NAME sees a change") end)
				end))
			end,
			on_data = function(conn, chunk)
				if tostring(chunk) == "later" then
					fwx.after(0.01, function() fwx.sleep(0.01) fwx.log.info("NAME has a timer") conn:close() end)
				end
			end,
			on_shutdown = function() fwx.sleep(0.001) fwx.log.info("NAME ends") end,
		}`
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		g := newReloadable(t, 1, backend, strings.ReplaceAll(script, "NAME", "old"), map[string]string{"list": ""})
		c := g.dial()
		wantSaid(t, c, "")
		g.logged("old every")
		g.logged("old again")
		g.write("test.lua", strings.ReplaceAll(script, "NAME", "new"))
		g.reload()
		g.logged("new every")
		count := func(text string) int { return strings.Count(g.log.String(), text) }
		atIntervals, news := count("old every")+count("old again"), count("new every")
		fwxtest.Eventually(t, patience, "the new one goes on", func() bool { return count("new every") > news+20 })
		if n := count("old every") + count("old again"); n > atIntervals+2 { // what was under way at the switch
			t.Errorf("the replaced script did its work %d times more", n-atIntervals)
		}
		g.write("list", "changed")
		g.logged("old sees a change")
		g.logged("new sees a change")
		if _, err := c.Write([]byte("later")); err != nil {
			t.Fatal(err)
		}
		g.logged("old has a timer")
		g.logged("old ends")
		if log := g.log.String(); strings.Contains(log, "level=ERROR") {
			t.Error("an error was logged")
		}
	})
}

// TestReloadAppends sees that two generations that append to a file keep records
// whole, and each its order.
func TestReloadAppends(t *testing.T) {
	const script = `local fwx = require "fwx"
		local f
		return {
			on_init = function() f = assert(fwx.file.open("var/log", "a")) end,
			on_data = function(conn, chunk, direction)
				if direction == "upstream" then assert(f:append("NAME " .. tostring(chunk) .. ("."):rep(500) .. "\n")) end
			end
		}`
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		const connections, records = 8, 100
		g := newReloadable(t, 2, backend, strings.ReplaceAll(script, "NAME", "0"), nil)
		open := make([]net.Conn, connections)
		for i := range open {
			if i > 0 {
				g.write("test.lua", strings.ReplaceAll(script, "NAME", strconv.Itoa(i)))
				g.reload()
			}
			open[i] = g.dial()
		}
		var clients sync.WaitGroup
		for _, c := range open {
			clients.Go(func() {
				for n := range records {
					if _, err := fmt.Fprint(c, n); err != nil {
						t.Error(err)
						return
					}
					if _, err := io.ReadFull(c, make([]byte, len(strconv.Itoa(n)))); err != nil {
						t.Error(err)
						return
					}
				}
				_ = c.Close()
			})
		}
		clients.Wait()
		path := filepath.Join(g.dir, "var/log")
		fwxtest.Eventually(t, patience, "all records are there", func() bool {
			text, _ := os.ReadFile(path)
			return strings.Count(string(text), "\n") == connections*records
		})
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		next := make(map[string]int)
		for line := range strings.Lines(string(text)) {
			who, rest, _ := strings.Cut(line, " ")
			if want := strconv.Itoa(next[who]) + strings.Repeat(".", 500) + "\n"; rest != want {
				t.Fatalf("record %q of %s, want %q", rest, who, want)
			}
			next[who]++
		}
	})
}

// TestManyReloads reloads again and again under traffic, and sees that no connection
// is refused or lost and that, without traffic, memory, goroutines and descriptors are
// then what they were.
func TestManyReloads(t *testing.T) {
	reloads := 60
	if fwxtest.Long() {
		reloads = 1000
	}
	const script = `local fwx = require "fwx"
		local lib, f, kept, echo = require "lib", nil, {}, nil
		for i = 1, 1000 do kept[i] = "NAME" .. i end
		return {
			on_init = function(config)
				echo = "tcp://" .. config.echo
				kept.socket = assert(fwx.connect(echo))
				f = assert(fwx.file.open("var/log", "a"))
				kept.file = assert(fwx.file.open("list"))
				assert(fwx.file.watch("list", function() end))
				fwx.every(0.5, function() f:append("NAME\n") end)
				fwx.after(0, function() fwx.sleep(3600) end)
			end,
			on_connect = function(conn)
				conn.ctx.file = assert(fwx.file.open("list"))
				conn.ctx.socket = assert(fwx.connect(echo))
			end,
			on_data = function(conn, chunk) kept[conn.id % 100] = tostring(chunk) end,
			on_close = function(conn) f:append("closed\n") end,
		}`
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		g := newReloadable(t, 2, backend, script, map[string]string{"lib.lua": "return {}", "list": ""})
		var generation, unended int
		var exchanges atomic.Int64
		reload := func() {
			generation++
			unended++
			g.write("test.lua", strings.ReplaceAll(script, "NAME", strconv.Itoa(generation)))
			g.reload()
		}
		underTraffic := func(reloads int) {
			var clients sync.WaitGroup
			var done atomic.Bool
			for range 4 {
				clients.Go(func() {
					for !done.Load() {
						if err := ping(g.fw.ListenAddress("web").String(), 3); err != nil {
							t.Error(err)
							return
						}
						exchanges.Add(1)
					}
				})
			}
			for range reloads {
				reload()
			}
			done.Store(true)
			clients.Wait()
			reload() // to one that has had no connection
			fwxtest.Eventually(t, patience, "what was replaced has ended", func() bool {
				return strings.Count(g.log.String(), `msg="a replaced configuration has ended"`) == unended
			})
			g.log.reset()
			unended = 0
		}
		underTraffic(30)
		var before, after footprint
		fwxtest.Eventually(t, patience, "the servers of the connections have ended", func() bool {
			before = g.measure()
			return before.descriptors == g.measure().descriptors
		})
		underTraffic(reloads)
		fwxtest.Eventually(t, patience, "goroutines and descriptors are what they were", func() bool {
			after = g.measure()
			return after.descriptors <= before.descriptors && after.goroutines <= before.goroutines+2 // fibers of timers
		})
		t.Logf("%d reloads, %d connections; before: %v; after: %v", reloads, exchanges.Load(), before, after)
		if after.heap > before.heap+before.heap/4+(1<<20) {
			t.Errorf("the heap has grown from %d to %d kB", before.heap>>10, after.heap>>10)
		}
	})
}

// ping exchanges a few messages over a connection.
func ping(address string, times int) error {
	c, err := net.Dial("tcp", address) //nolint:noctx // loopback
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	for range times {
		if err := pingOver(c); err != nil {
			return err
		}
	}
	return nil
}

// footprint is what a gateway takes, the servers of the test included.
type footprint struct {
	heap                    uint64
	goroutines, descriptors int
}

// measure returns the smallest footprint of several looks: there is traffic.
func (g *gateway) measure() footprint {
	least := footprint{1 << 62, 1 << 30, 1 << 30}
	for range 20 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		least.heap = min(least.heap, m.HeapAlloc)
		least.goroutines = min(least.goroutines, runtime.NumGoroutine())
		least.descriptors = min(least.descriptors, openDescriptors())
	}
	return least
}

// openDescriptors returns how many there are; none where that cannot be seen.
func openDescriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}
