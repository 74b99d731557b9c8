package framework

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Changes of a configuration, for reloads.
func nothing(*Config)           {}
func anotherDrain(c *Config)    { c.Service.Drain = time.Minute }
func anotherListener(c *Config) { c.Listeners[0].IdleTimeout = time.Hour }
func anotherUpstream(c *Config) { c.Upstreams[0].ConnectTimeout = time.Minute }

// closes reports whether a response tells that the connection ends behind it.
func closes(response string) bool { return strings.Contains(response, "\r\nConnection: close\r\n") }

// What the head of a response has told the client holds, whatever is reloaded before the
// exchange is over; the next response tells of the end.
func TestKeepAliveIsDecidedOnce(t *testing.T) {
	m := newMachine(t)
	half := true
	s := m.server(func(c *memoryConn, _ string) {
		if !half {
			c.say(okAnswer)
			return
		}
		c.say(strings.TrimSuffix(okAnswer, "k"))
	})
	m.start(nil)
	c := m.client()
	if got := m.ask(c, getRequest); statusOf(got) != "200" || closes(got) {
		t.Fatalf("before the reload: %q", got)
	}
	m.reload(anotherListener)
	s.conns[0].say("k")
	half = false
	m.settle()
	if got := c.heard(); got != "k" || c.over {
		t.Errorf("after the reload: %q, and that was the end: %v", got, c.over)
	}
	if got := m.ask(c, getRequest); statusOf(got) != "200" || !closes(got) || !c.over {
		t.Errorf("the next request: %q, and that was the end: %v", got, c.over)
	}
}

// A connection on which nothing is asked for goes on at a reload: its next request is
// answered, and tells of the end if the listener was replaced.
func TestReloadLeavesIdleClients(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Config)
		closes bool
	}{
		{"nothing", nothing, false},
		{"what does not concern the listener", anotherDrain, false},
		{"the listener", anotherListener, true},
		{"its upstream", anotherUpstream, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(t)
			m.server(nil)
			m.start(nil)
			c := m.client()
			m.ask(c, getRequest)
			for range 3 {
				m.reload(test.change)
			}
			m.pass(defaultKeepAlive / 2)
			if got := m.ask(c, getRequest); statusOf(got) != "200" || closes(got) != test.closes || c.over != test.closes {
				t.Errorf("got %q, and that was the end: %v", got, c.over)
			}
		})
	}
}

// The idle connections to the servers of an upstream are kept if nothing of it has
// changed. Otherwise they are ended at once, and those in use when they become idle.
func TestReloadAndPool(t *testing.T) {
	server := func(c *Config) { c.Upstreams[0].MaxConnections = 100 }
	for _, test := range []struct {
		name   string
		change func(*Config)
		kept   bool
	}{
		{"nothing", nothing, true},
		{"the service", anotherDrain, true},
		{"the listener", anotherListener, true},
		{"the upstream", anotherUpstream, false},
		{"how servers are chosen", server, false},
		{"its name", func(c *Config) { c.Upstreams[0].Name, c.Listeners[0].Upstream = "new", "new" }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(t)
			var busy *memoryConn
			s := m.server(func(c *memoryConn, head string) {
				if strings.Contains(head, "/busy") {
					busy = c
					return
				}
				c.say(okAnswer)
			})
			m.start(nil)
			waiting := m.client()
			m.ask(waiting, "GET /busy HTTP/1.1\r\nHost: a\r\n\r\n")
			m.get(getRequest)
			m.reload(test.change)
			want := 1
			if test.kept {
				want = 2
			}
			if n := s.open(); n != want {
				t.Errorf("%d connections are open after the reload, not %d", n, want)
			}
			busy.say(okAnswer)
			m.settle()
			if got := statusOf(waiting.heard()); got != "200" {
				t.Errorf("the request that was under way: %s", got)
			}
			if n := s.open(); n != 2*(want-1) {
				t.Errorf("%d connections are open when all are idle, not %d", n, 2*(want-1))
			}
			if got := m.get(getRequest); got != "200" {
				t.Error(got)
			}
			if n := len(s.conns); (n == 2) != test.kept {
				t.Errorf("the server has had %d connections", n)
			}
		})
	}
}

// A listener of which nothing has changed goes on with its connections, which are never too
// old, and the generations that had it end.
func TestReloadCarriesListeners(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			d := &diary{}
			server := serve(t, echo)
			kept := d.marking("kept")
			config := func(other Filter) Config {
				config := gatewayConfig(backend, server, kept, other)
				config.Listeners[0].Filters = []string{"a"}
				config.Listeners = append(config.Listeners, ListenerConfig{Name: "other", Listen: "127.0.0.1:0", Upstream: "out", Filters: []string{"b"}})
				return config
			}
			g := startGateway(t, config(d.marking("0")))
			var freed atomic.Int64
			runtime.AddCleanup(g.current.Load(), func(int) { freed.Add(1) }, 0)
			c := g.dial(t)
			wantSaid(t, c, "kept")
			for range 2 * maxReplaced {
				check(t, g.Reload(t.Context(), config(d.marking("more"))))
				wantSaid(t, c, "kept")
			}
			eventually(t, "the first generation is freed", func() bool {
				runtime.GC()
				return freed.Load() == 1
			})
			g.turn.mu.Lock()
			if n := len(g.generations); n > 2 { // the one before may be about to end
				t.Errorf("there are %d generations", n)
			}
			g.turn.give()
			wantSaid(t, c, "kept")
		})
	}
}

// A filter that is gone is detached from a session before it ends, also when all
// connections of the session are to listeners that were carried over.
func TestReloadDetachesFromCarried(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			d := &diary{}
			server := serve(t, echo)
			goes := d.filter("goes", ConnectTCP)
			goes.onData = nil
			goes.onShutdown = func(context.Context) error {
				d.add("goes shutdown, detached from %d", goes.detached.Load())
				return nil
			}
			config := func(filters ...Filter) Config {
				config := gatewayConfig(backend, server, filters...)
				names := config.Listeners[0].Filters
				config.Listeners[0].Filters = nil
				config.Listeners = append(config.Listeners, ListenerConfig{Name: "other", Listen: "127.0.0.1:0", Upstream: "out", Filters: names})
				return config
			}
			g := startGateway(t, config(goes))
			stays := g.dial(t)
			wantSaid(t, stays, "")
			other := dial(t, "tcp", g.ListenAddress("other").String())
			wantSaid(t, other, "")
			other.Close()
			eventually(t, "the other connection ends", func() bool { return g.Connections() == 1 })
			check(t, g.Reload(t.Context(), config()))
			eventually(t, "the filter ends", func() bool { return strings.Contains(strings.Join(d.lines(), ";"), "shutdown") })
			if diff := cmp.Diff("goes shutdown, detached from 1", d.lines()[len(d.lines())-1]); diff != "" {
				t.Error(diff)
			}
			wantSaid(t, stays, "")
		})
	}
}

// When the service ends, an idle client's request that was on its way is answered, and
// tells of the end; a client that asks for nothing is hung up on soon.
func TestShutdownHearsLastCalls(t *testing.T) {
	m := newMachine(t)
	s := m.server(nil)
	m.start(nil)
	busy, silent := m.client(), m.client()
	m.ask(busy, getRequest)
	m.ask(silent, getRequest)
	done := make(chan error, 1)
	go func() { done <- m.Shutdown(m.ctx) }()
	eventually(t, "the service ends", func() bool { return m.closing.Load() })
	m.settle()
	if got := m.ask(busy, getRequest); statusOf(got) != "200" || !closes(got) {
		t.Errorf("got %q", got)
	}
	if silent.heard(); silent.over {
		t.Error("a client is hung up on at once")
	}
	s.open()
	for ended := false; !ended; {
		select {
		case err := <-done:
			check(t, err)
			ended = true
		default:
			m.pass(lastCall)
		}
	}
	if silent.heard(); !silent.over {
		t.Error("a client is not hung up on")
	}
}
