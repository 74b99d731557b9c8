package framework

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fwx/framework/fwxtest"
)

// marking returns a filter that puts a mark before each chunk to the server, and
// notes its life.
func (d *diary) marking(mark string) *testFilter {
	return &testFilter{
		onInit: func(*Firewall) error { d.add("%s init", mark); return nil },
		onData: func(_ *Connection, dir Direction, chunk []byte) Verdict {
			if dir == Downstream {
				return Pass
			}
			return Replace([]byte(mark + string(chunk)))
		},
		onDetach:   func() { d.add("%s detach", mark) },
		onRetire:   func() { d.add("%s retire", mark) },
		onShutdown: func(context.Context) error { d.add("%s shutdown", mark); return nil },
	}
}

// say sends a text and returns what an echo server makes of it, which is n bytes longer.
func say(t *testing.T, c net.Conn, text string, n int) string {
	t.Helper()
	must(io.WriteString(c, text))(t)
	got := make([]byte, len(text)+n)
	must(io.ReadFull(c, got))(t)
	return string(got)
}

// wantSaid checks which filter a connection has.
func wantSaid(t *testing.T, c net.Conn, mark string) {
	t.Helper()
	if got := say(t, c, "x", len(mark)); got != mark+"x" {
		t.Errorf("got %q, want %q", got, mark+"x")
	}
}

// TestReload sees that a connection keeps the filter it began with, that new ones
// have the new one, and that the old one ends with its last connection.
func TestReload(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			d := &diary{}
			server := serve(t, echo)
			g := startGateway(t, gatewayConfig(backend, server, d.marking("1")))
			old := g.dial(t)
			wantSaid(t, old, "1")
			check(t, g.Reload(t.Context(), gatewayConfig(backend, server, d.marking("2"))))
			wantSaid(t, old, "1")
			fresh := g.dial(t)
			wantSaid(t, fresh, "2")
			wantSaid(t, old, "1")
			if diff := cmp.Diff([]string{"1 init", "2 init", "1 retire"}, d.lines()); diff != "" {
				t.Error(diff)
			}
			if !g.log.has(`msg=reloaded generation=2 changed="filter a"`) {
				t.Error("the log does not tell")
			}
			old.Close()
			eventually(t, "the old filter ends", func() bool { return len(d.lines()) == 5 })
			if diff := cmp.Diff([]string{"1 detach", "1 shutdown"}, d.lines()[3:]); diff != "" {
				t.Error(diff)
			}
			wantSaid(t, fresh, "2")
			fresh.Close()
			g.stop(t)
			if diff := cmp.Diff([]string{"2 detach", "2 shutdown"}, d.lines()[5:]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// kindMade is a kind of filter that notes its life, with a file if it is told one.
func (d *diary) kindMade() Factory {
	type settings struct {
		Mark string `toml:"mark,required"`
		File string `toml:"file"`
	}
	return Factory{
		Kind: "made", Settings: func() any { return &settings{} },
		New: func(_ FilterConfig, s any) (Filter, error) {
			set := s.(*settings)
			f := d.marking(set.Mark)
			if set.File == "" {
				return f, nil
			}
			content, err := os.ReadFile(set.File)
			return fromFile{f, File{Path: set.File, Sum: sha256.Sum256(content)}}, err
		},
	}
}

// fromFile is a testFilter that was made from a file.
type fromFile struct {
	*testFilter

	file File
}

func (f fromFile) Files() []File { return []File{f.file} }

const reloadable = `
[[upstream]]
name = "out"
servers = ["127.0.0.1:9"]
[[filter]]
name = "a"
kind = "made"
mark = "a"
[[filter]]
name = "b"
kind = "made"
mark = "b"
file = "FILE"
[[listener]]
name = "in"
listen = "127.0.0.1:0"
upstream = "out"
filters = ["a", "b"]
`

// TestReloadChanges sees what is made anew for a change, and what is carried over.
func TestReloadChanges(t *testing.T) {
	const newA = `a init;a retire;a shutdown`
	tests := []struct {
		name     string
		old, new string // what is changed in the configuration
		changed  string
		want     string // what the filters are told
	}{
		{"nothing", "", "", "nothing", ""},
		{"a comment", "[[filter]]", "# more\n[[filter]]", "nothing", ""},
		{"a setting of a filter", `mark = "a"`, `mark = "A"`, "filter a", "A init;a retire;a shutdown"},
		{"the class of a filter", `mark = "a"`, "mark = \"a\"\nclass = \"nat\"", "filter a", newA},
		{"a file of a filter", `"FILE"`, `"FILE" # has changed`, "filter b", "b init;b retire;b shutdown"},
		{"a filter more", `[[listener]]`, "[[filter]]\nname = \"c\"\nkind = \"made\"\nmark = \"c\"\n[[listener]]", "filter c (new)", ""},
		{"a filter is not named any more", `["a", "b"]`, `["b"]`, "filter a, listener in", "a retire;a shutdown"},
		{"another order", `["a", "b"]`, `["b", "a"]`, "listener in", ""},
		{"a filter renamed", `"a"`, `"c"`, "filter c (new), filter a (gone), listener in", "c init;a retire;a shutdown"},
		{"a server", `"127.0.0.1:9"`, `"127.0.0.1:10"`, "upstream out", ""},
		{"a listener more", `[[filter]]`, "[[listener]]\nname = \"too\"\nlisten = \"127.0.0.1:0\"\nupstream = \"out\"\n[[filter]]", "listener too (new)", ""},
		{"the limit of connections", `[[upstream]]`, "[service]\nmax_connections = 5\n[[upstream]]", "service", ""},
		{"a timeout", `upstream = "out"`, "upstream = \"out\"\nidle_timeout = \"1m\"", "listener in", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := &diary{}
			file := filepath.Join(t.TempDir(), "f")
			check(t, os.WriteFile(file, []byte("1"), 0o600))
			text := func(s string) string { return strings.ReplaceAll(s, "FILE", filepath.ToSlash(file)) }
			log := &logBuffer{}
			config := must(ParseConfig("c.toml", []byte(text(reloadable))))(t)
			config.Logger = slog.New(slog.NewTextHandler(log, nil))
			fw := must(New(config, NewRegistry(d.kindMade())))(t)
			check(t, fw.Start(t.Context()))
			begun := d.lines()
			if strings.Contains(test.new, "has changed") {
				check(t, os.WriteFile(file, []byte("2"), 0o600))
			}
			address, times := fw.ListenAddress("in"), 1
			if test.name == "a filter renamed" { // where it is named, too
				times = -1
			}
			changed := text(strings.Replace(reloadable, test.old, test.new, times))
			check(t, fw.Reload(t.Context(), must(ParseConfig("c.toml", []byte(changed)))(t)))
			want := 0
			if test.want != "" {
				want = strings.Count(test.want, ";") + 1
			}
			eventually(t, "the filters have been told", func() bool { return len(d.lines()) >= len(begun)+want })
			if got := strings.Join(d.lines()[len(begun):], ";"); got != test.want {
				t.Errorf("the filters were told %q, want %q", got, test.want)
			}
			if !strings.Contains(strings.ReplaceAll(log.text.String(), `"`, ""), "changed="+test.changed+"\n") {
				t.Errorf("the log lacks %q:\n%s", test.changed, log.text.String())
			}
			if got := fw.ListenAddress("in"); got != address {
				t.Errorf("the listener has moved from %v to %v", address, got)
			}
			check(t, fw.Shutdown(t.Context()))
		})
	}
}

// TestReloadRefused sees that a configuration that is not good leaves everything as
// it was, and that what was begun with it is ended.
func TestReloadRefused(t *testing.T) {
	taken := must((&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0"))(t)
	defer taken.Close()
	another := ListenerConfig{Name: "too", Listen: "127.0.0.1:0", Upstream: "out"}
	tests := []struct {
		name   string
		change func(c *Config, d *diary)
		want   string // lines
		told   string // the new filters
	}{
		{"mistakes", func(c *Config, _ *diary) {
			c.Listeners[0].Upstream, c.Service.MaxConnections = "", -1
		}, "service: max_connections: wants a number from 0 to 10000000, not -1\n" + `listener "in": upstream: must not be empty`, ""},
		{"workers and backend", func(c *Config, _ *diary) {
			c.Service.Workers, c.Service.Backend = 3, "auto"
		}, "service: workers: cannot be changed from 2 while the service runs: restart it\nservice: backend: cannot be changed from ", ""},
		{"admin and store", func(c *Config, _ *diary) {
			c.Admin.Listen, c.Store.Kind = "127.0.0.1:0", "memory"
		}, "admin: listen: the admin listener cannot be changed while the service runs: restart it\n" +
			"store: kind: the store cannot be changed while the service runs: restart it", ""},
		{"FilterInit", func(c *Config, d *diary) {
			f := d.marking("3")
			f.onInit = func(*Firewall) error { return errors.New("no disk") }
			c.Filters = append(c.Filters, FilterConfig{Name: "b", Filter: f})
			c.Listeners[0].Filters = []string{"a", "b"}
		}, `filter "b": no disk`, "2 init;3 shutdown;2 shutdown"},
		{"a panic", func(c *Config, d *diary) {
			f := d.marking("3")
			f.onInit = func(*Firewall) error { panic("no disk") }
			c.Filters[0].Filter = f
		}, `filter "a": it panicked: no disk`, "3 shutdown"},
		{"an address in use", func(c *Config, _ *diary) {
			another.Listen = taken.Addr().String()
			c.Listeners = append(c.Listeners, another)
		}, `listener "too": listen on ` + taken.Addr().String(), ""},
		{"a name that is not known", func(c *Config, _ *diary) { c.Upstreams[0].Servers[0] = "host.invalid:80" }, `upstream "out": server "host.invalid:80"`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := &diary{}
			server := serve(t, echo)
			g := startGateway(t, gatewayConfig(backends[0], server, d.marking("1")))
			c := g.dial(t)
			wantSaid(t, c, "1")
			config := gatewayConfig(backends[0], server, d.marking("2"))
			test.change(&config, d)
			err := g.Reload(t.Context(), config)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("Reload: %v, want %s", err, test.want)
			}
			if got := strings.Join(d.lines()[1:], ";"); got != test.told {
				t.Errorf("the filters were told %q, want %q", got, test.told)
			}
			wantSaid(t, c, "1")
			wantSaid(t, g.dial(t), "1")
			if g.ListenAddress("too").AddrPort.IsValid() {
				t.Error("the refused listener is there")
			}
			check(t, g.Reload(t.Context(), gatewayConfig(backends[0], server, d.marking("4")))) // none the worse
			wantSaid(t, g.dial(t), "4")
		})
	}
}

// TestReloadListeners sees that listeners keep their sockets by address, that new
// ones accept, and that those that are gone refuse.
func TestReloadListeners(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			server := serve(t, echo)
			with := func(names ...string) Config {
				config := gatewayConfig(backend, server)
				config.Listeners = nil
				for _, name := range names {
					config.Listeners = append(config.Listeners, ListenerConfig{Name: name, Listen: "127.0.0.1:0", Upstream: "out"})
				}
				return config
			}
			g := startGateway(t, with("x", "y"))
			x, y := g.ListenAddress("x"), g.ListenAddress("y")
			check(t, g.Reload(t.Context(), with("y", "z"))) // y by its name, z has what is left of that address
			if g.ListenAddress("y") != y || g.ListenAddress("z") != x {
				t.Errorf("y has moved from %v to %v, or z is not at %v but %v", y, g.ListenAddress("y"), x, g.ListenAddress("z"))
			}
			check(t, g.Reload(t.Context(), with("y", "z", "new")))
			for _, name := range []string{"y", "z", "new"} {
				wantSaid(t, dial(t, "tcp", g.ListenAddress(name).String()), "")
			}
			kept := dial(t, "tcp", y.String())
			wantSaid(t, kept, "")
			check(t, g.Reload(t.Context(), with("new")))
			for _, gone := range []string{x.String(), y.String()} {
				eventually(t, gone+" refuses", func() bool { // as soon as the kernel has let go of it
					c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", gone)
					if err == nil {
						c.Close()
					}
					return err != nil
				})
			}
			wantSaid(t, kept, "")
			wantSaid(t, dial(t, "tcp", g.ListenAddress("new").String()), "")
		})
	}
}

// TestReloadSessions sees that a client's session goes on, that a filter that is
// carried over is attached to it once, and that one that is replaced is detached
// with the client's last connection that has it.
func TestReloadSessions(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			d := &diary{}
			server := serve(t, echo)
			stays, goes := d.filter("stays", ConnectTCP), d.filter("goes", ConnectTCP)
			stays.onData, goes.onData = nil, nil
			var session *Session
			stays.onEvent = func(ev *Event) Verdict {
				if session == nil {
					session = ev.Connection.Session()
				}
				if n, _ := ev.Connection.Session().Incr("n", 1); ev.Connection.Session() != session {
					return Deny(fmt.Sprint("another session at ", n))
				}
				return Pass
			}
			g := startGateway(t, gatewayConfig(backend, server, stays, goes))
			first := g.dial(t)
			wantSaid(t, first, "")
			other := d.filter("other", ConnectTCP)
			other.onData = nil
			check(t, g.Reload(t.Context(), gatewayConfig(backend, server, stays, other)))
			second := g.dial(t)
			wantSaid(t, second, "")
			first.Close()
			eventually(t, "the replaced filter is detached", func() bool { return goes.detached.Load() == 1 })
			third := g.dial(t)
			wantSaid(t, third, "")
			if n := session.Get("n"); n != 3.0 {
				t.Errorf("the session has counted %v connections", n)
			}
			second.Close()
			third.Close()
			eventually(t, "all are detached", func() bool { return stays.detached.Load() == 1 && other.detached.Load() == 1 })
			for name, f := range map[string]*testFilter{"stays": stays, "goes": goes, "other": other} {
				if f.attached.Load() != 1 || f.detached.Load() != 1 {
					t.Errorf("%s was attached %d times and detached %d times", name, f.attached.Load(), f.detached.Load())
				}
			}
		})
	}
}

// TestReloadTooOften sees that old generations are bounded: the connections of the
// oldest are reset, the others stay.
func TestReloadTooOften(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			d := &diary{}
			server := serve(t, echo)
			g := startGateway(t, gatewayConfig(backend, server, d.marking("0")))
			connections := []*net.TCPConn{g.dial(t)}
			wantSaid(t, connections[0], "0")
			for i := 1; i <= maxReplaced+1; i++ {
				mark := strconv.Itoa(i)
				check(t, g.Reload(t.Context(), gatewayConfig(backend, server, d.marking(mark))))
				connections = append(connections, g.dial(t))
				wantSaid(t, connections[i], mark)
			}
			wantReset(t, connections[0])
			for i, c := range connections[1:] {
				wantSaid(t, c, strconv.Itoa(i+1))
			}
			if !g.log.has("those of the oldest are reset") || !g.log.has("generation=1 connections=1") {
				t.Error("the log does not tell")
			}
			if lines := strings.Join(d.lines(), ";"); strings.Count(lines, "shutdown") != 1 || !strings.Contains(lines, "0 shutdown") {
				t.Error(lines)
			}
		})
	}
}

// TestReloadSameFilter sees that a filter of the host program is carried over under
// whatever name, and that one that was replaced cannot come back too early.
func TestReloadSameFilter(t *testing.T) {
	d := &diary{}
	server := serve(t, echo)
	a, b := d.marking("a"), d.marking("b")
	g := startGateway(t, gatewayConfig(backends[0], server, a))
	first := g.dial(t)
	wantSaid(t, first, "a")
	renamed := gatewayConfig(backends[0], server, b)
	renamed.Filters = append(renamed.Filters, FilterConfig{Name: "z", Filter: a})
	renamed.Listeners[0].Filters = []string{"z"}
	check(t, g.Reload(t.Context(), renamed))
	wantSaid(t, g.dial(t), "a")
	check(t, g.Reload(t.Context(), gatewayConfig(backends[0], server, b)))
	if err := g.Reload(t.Context(), gatewayConfig(backends[0], server, a)); err == nil || !strings.HasPrefix(err.Error(), `filter "a": the same Filter`) {
		t.Errorf("a filter came back: %v", err)
	}
	if diff := cmp.Diff([]string{"a init", "b init", "a retire"}, d.lines()); diff != "" {
		t.Error(diff)
	}
}

// TestReloadWhen sees what Reload does when the firewall is not running, and when
// several call it.
func TestReloadWhen(t *testing.T) {
	d := &diary{}
	server := serve(t, echo)
	config := func(mark string) Config { return gatewayConfig(backends[0], server, d.marking(mark)) }
	g := newGateway(t, config("1"))
	if err := g.Reload(t.Context(), config("2")); !errors.Is(err, ErrNotRunning) {
		t.Errorf("before Start: %v", err)
	}
	check(t, g.Start(t.Context()))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Reload(ended, config("2")); !errors.Is(err, context.Canceled) {
		t.Errorf("without time: %v", err)
	}
	first := g.dial(t)
	wantSaid(t, first, "1")
	first.Close()
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			if err := g.Reload(t.Context(), config(fmt.Sprint("many", i))); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	if n := g.current.Load().number; n != 9 {
		t.Errorf("generation %d", n)
	}
	c := g.dial(t)
	wantSaid(t, c, lastInit(d))
	for i := range 4 { // with a Shutdown in between
		callers.Go(func() {
			if err := g.Reload(t.Context(), config(fmt.Sprint("late", i))); err != nil && !errors.Is(err, ErrNotRunning) {
				t.Error(err)
			}
		})
	}
	c.Close()
	g.stop(t)
	callers.Wait()
	if err := g.Reload(t.Context(), config("2")); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after Shutdown: %v", err)
	}
	lines := strings.Join(d.lines(), ";")
	if inits, ends := strings.Count(lines, "init"), strings.Count(lines, "shutdown"); inits != ends {
		t.Errorf("%d filters began and %d ended", inits, ends)
	}
}

// lastInit returns the mark of the filter that began last.
func lastInit(d *diary) (last string) {
	for _, line := range d.lines() {
		if mark, ok := strings.CutSuffix(line, " init"); ok {
			last = mark
		}
	}
	return last
}

// TestReloadUnderTraffic reloads again and again while clients come and go, and sees
// that no connection is refused or lost, and that nothing is left of what was replaced.
func TestReloadUnderTraffic(t *testing.T) {
	reloads := 50
	if fwxtest.Long() {
		reloads = 300
	}
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			var begun, ended atomic.Int64
			server := serve(t, echo)
			config := func() Config {
				f := &testFilter{onData: func(*Connection, Direction, []byte) Verdict { return Pass }}
				f.onInit = func(*Firewall) error { begun.Add(1); return nil }
				f.onShutdown = func(context.Context) error { ended.Add(1); return nil }
				return gatewayConfig(backend, server, f)
			}
			g := startGateway(t, config())
			done := make(chan struct{})
			var clients sync.WaitGroup
			var exchanges atomic.Int64
			for range 8 {
				clients.Go(func() {
					for {
						select {
						case <-done:
							return
						default:
						}
						c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", g.ListenAddress("in").String())
						if err != nil {
							t.Error(err)
							return
						}
						_ = c.SetDeadline(time.Now().Add(patience)) // it is open
						if got, err := exchange(c, []byte("hello")); string(got) != "hello" || err != nil {
							t.Errorf("got %q, %v", got, err)
						}
						c.Close()
						exchanges.Add(1)
					}
				})
			}
			settled := func() bool {
				g.turn.mu.Lock()
				defer g.turn.give()
				return len(g.generations) == 1
			}
			for i := range reloads {
				check(t, g.Reload(t.Context(), config()))
				eventually(t, "clients come", func() bool { return exchanges.Load() >= int64(i) })
			}
			close(done)
			clients.Wait()
			eventually(t, "the old generations end", settled)
			if begun.Load() != int64(reloads)+1 || ended.Load() != int64(reloads) {
				t.Errorf("%d filters began, %d ended, of %d", begun.Load(), ended.Load(), reloads+1)
			}
		})
	}
}

// TestReplacedIsFreed sees that nothing refers to a generation that has ended.
func TestReplacedIsFreed(t *testing.T) {
	server := serve(t, echo)
	var freed atomic.Int64
	d := &diary{}
	g := startGateway(t, gatewayConfig(backends[0], server, d.marking("1")))
	runtime.AddCleanup(g.current.Load(), func(int) { freed.Add(1) }, 0)
	old := g.dial(t)
	wantSaid(t, old, "1")
	check(t, g.Reload(t.Context(), gatewayConfig(backends[0], server, d.marking("2"))))
	staying := g.dial(t)
	wantSaid(t, staying, "2")
	old.Close()
	eventually(t, "it is freed", func() bool {
		runtime.GC()
		return freed.Load() == 1
	})
	wantSaid(t, staying, "2")
}
