package framework

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"fwx/framework/balance"
)

// mortal is a server at one address that dies and comes back. It says its name.
type mortal struct {
	t       *testing.T
	name    string
	address string

	serving  sync.WaitGroup
	mu       sync.Mutex
	listener net.Listener
	clients  []net.Conn
}

func newMortal(t *testing.T, name string) *mortal {
	t.Helper()
	m := &mortal{t: t, name: name, address: "127.0.0.1:0"}
	m.live()
	t.Cleanup(m.die)
	return m
}

func (m *mortal) live() {
	m.t.Helper()
	var lc net.ListenConfig
	l := must(lc.Listen(m.t.Context(), "tcp", m.address))(m.t)
	m.address, m.listener = l.Addr().String(), l
	m.serving.Go(func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			m.mu.Lock()
			m.clients = append(m.clients, c)
			m.mu.Unlock()
			m.serving.Go(func() {
				defer c.Close()
				_, _ = c.Write([]byte(m.name))
				_, _ = io.Copy(io.Discard, c)
			})
		}
	})
}

func (m *mortal) die() {
	_ = m.listener.Close() // it may be dead
	m.mu.Lock()
	for _, c := range m.clients {
		_ = c.(*net.TCPConn).SetLinger(0) // so that its address can be used again
		_ = c.Close()
	}
	m.clients = nil
	m.mu.Unlock()
	m.serving.Wait()
}

// greeted opens a connection and returns it and the name of the server.
func (g *gateway) greeted(t *testing.T) (*net.TCPConn, string) {
	t.Helper()
	c := g.dial(t)
	name := make([]byte, 1)
	must(io.ReadFull(c, name))(t)
	return c, string(name)
}

// turns returns the servers of some connections.
func (g *gateway) turns(t *testing.T, n int) string {
	t.Helper()
	var b strings.Builder
	for range n {
		c, name := g.greeted(t)
		b.WriteString(name)
		c.Close()
	}
	return b.String()
}

// states returns the states of the servers of the first upstream.
func (g *gateway) states() string {
	servers := g.UpstreamInfos()[0].Servers
	list := make([]string, 0, len(servers))
	for _, s := range servers {
		list = append(list, s.State)
	}
	return strings.Join(list, " ")
}

// becomes waits until the servers have states.
func (g *gateway) becomes(t *testing.T, want string) {
	t.Helper()
	eventually(t, "the servers are "+want, func() bool { return g.states() == want })
}

// TestChecked has servers that are checked die and come back.
func TestChecked(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			a, b := newMortal(t, "a"), newMortal(t, "b")
			config := gatewayConfig(backend, a.address)
			config.Upstreams[0].Servers = append(config.Upstreams[0].Servers, b.address)
			config.Upstreams[0].Check = &balance.CheckConfig{Interval: 20 * time.Millisecond}
			g := startGateway(t, config)
			if got := g.turns(t, 4); got != "abab" {
				t.Errorf("the turns were %s", got)
			}
			a.die()
			g.becomes(t, "down up")
			if got := g.turns(t, 3); got != "bbb" {
				t.Errorf("the turns were %s", got)
			}
			b.die()
			g.becomes(t, "down down")
			g.refused(t)
			if !g.log.has(`no server is up`) {
				t.Error("the log does not say why")
			}
			a.live()
			g.becomes(t, "up down")
			if got := g.turns(t, 2); got != "aa" {
				t.Errorf("the turns were %s", got)
			}
		})
	}
}

// TestEjected sees that a server that cannot be connected is left out.
func TestEjected(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			config := gatewayConfig(backend, closedPort(t))
			config.Upstreams[0].Servers = append(config.Upstreams[0].Servers, named(t, "b"), named(t, "c"))
			config.Upstreams[0].Eject = &balance.EjectConfig{Failures: 2, Time: time.Hour}
			g := startGateway(t, config)
			eventually(t, "the server is ejected", func() bool {
				g.turns(t, 3)
				return g.states() == "ejected up up"
			})
			failed := g.UpstreamInfos()[0].Servers[0].Failed
			if got := g.turns(t, 4); got != "bcbc" && got != "cbcb" {
				t.Errorf("the turns were %s", got)
			}
			if s := g.UpstreamInfos()[0].Servers[0]; s.Failed != failed || s.Ejections != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestDrained drains a server with a connection, and reloads.
func TestDrained(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			a, b := newMortal(t, "a"), newMortal(t, "b")
			config := gatewayConfig(backend, a.address)
			config.Upstreams[0].Servers = append(config.Upstreams[0].Servers, b.address)
			g := startGateway(t, config)
			held, name := g.greeted(t)
			if name != "a" {
				t.Fatalf("the first turn was %s", name)
			}
			infos, err := g.DrainServer("out", a.address, true)
			if err != nil || len(infos) != 1 || infos[0].Connections != 1 {
				t.Errorf("%+v, %v", infos, err)
			}
			if got := g.turns(t, 3); got != "bbb" {
				t.Errorf("the turns were %s", got)
			}
			check(t, g.Reload(t.Context(), config))
			if got := g.turns(t, 3); got != "bbb" {
				t.Errorf("behind a reload the turns were %s", got)
			}
			config.Upstreams[0].ConnectTimeout = time.Minute
			config.Upstreams[0].MaxConnections = 1
			check(t, g.Reload(t.Context(), config))
			connections := func(server int, n int64) {
				t.Helper()
				eventually(t, "the others have ended", func() bool { return g.UpstreamInfos()[0].Servers[server].Connections == n })
			}
			connections(1, 0)
			if got := g.turns(t, 1); got != "b" {
				t.Errorf("behind a reload of the upstream the turn was %s", got)
			}
			connections(1, 0)

			// What it had goes on, and counts in the new configuration too.
			must(held.Write([]byte("x")))(t)
			must(g.DrainServer("out", a.address, false))(t)
			second, name := g.greeted(t)
			if name != "b" {
				t.Errorf("the server that is full was chosen")
			}
			g.refused(t)
			held.Close()
			second.Close()
			connections(0, 0)
			connections(1, 0)
			for name, err := range map[string]error{"out": balance.ErrUnknownServer, "uot": ErrUnknownUpstream} {
				if _, got := g.DrainServer(name, "10.0.0.1:1", true); !errors.Is(got, err) {
					t.Errorf("%s: %v", name, got)
				}
			}
		})
	}
}

// TestLeastBusy sees that a connection goes where the fewest are.
func TestLeastBusy(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			config := gatewayConfig(backend, named(t, "a"))
			config.Upstreams[0].Server = []ServerConfig{{Address: named(t, "b"), Weight: 2}}
			config.Upstreams[0].Balance = balance.LeastConnections
			g := startGateway(t, config)
			open := map[string][]*net.TCPConn{}
			for range 9 {
				c, name := g.greeted(t)
				open[name] = append(open[name], c)
			}
			if len(open["a"]) != 3 || len(open["b"]) != 6 {
				t.Errorf("%d and %d connections", len(open["a"]), len(open["b"]))
			}
			for _, c := range open["a"] {
				c.Close()
			}
			eventually(t, "they have ended", func() bool { return g.UpstreamInfos()[0].Servers[0].Connections == 0 })
			for range 3 {
				if _, name := g.greeted(t); name != "a" {
					t.Errorf("%s was chosen", name)
				}
			}
		})
	}
}

// TestByClient sees that a client keeps its server, and that a backup waits.
func TestByClient(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			config := gatewayConfig(backend, named(t, "a"))
			config.Upstreams[0].Servers = append(config.Upstreams[0].Servers, named(t, "b"))
			config.Upstreams[0].Server = []ServerConfig{{Address: named(t, "c"), Backup: true}}
			config.Upstreams[0].Balance = balance.Hash
			g := startGateway(t, config)
			if got := g.turns(t, 6); got != "aaaaaa" && got != "bbbbbb" {
				t.Errorf("the turns were %s", got)
			}
			for i := range 2 {
				must(g.DrainServer("out", config.Upstreams[0].Servers[i], true))(t)
			}
			if got := g.turns(t, 2); got != "cc" {
				t.Errorf("the turns were %s", got)
			}
		})
	}
}

// TestEmulatedWithoutServers sees that a filter may play the server when there is none,
// and that it takes no place at one if there is.
func TestEmulatedWithoutServers(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			f := &testFilter{onEvent: func(ev *Event) Verdict {
				if ev.Type == ConnectTCP {
					if err := ev.Connection.Emulate(sorry{}); err != nil {
						return Fail(err.Error())
					}
				}
				return Pass
			}}
			address := closedPort(t)
			g := startGateway(t, gatewayConfig(backend, address, f))
			for _, drained := range []bool{false, true} {
				must(g.DrainServer("out", address, drained))(t)
				if got := g.turns(t, 1); got != "s" {
					t.Errorf("drained %v: %s", drained, got)
				}
				eventually(t, "no place is taken", func() bool { return g.UpstreamInfos()[0].Servers[0].Connections == 0 })
			}
		})
	}
}

// sorry is an emulator that says "s".
type sorry struct{}

func (sorry) Data(*Connection, []byte) Verdict { return Pass }
func (sorry) End(c *Connection)                { _ = c.CloseSend() } // it has ended
func (sorry) MaySend(c *Connection)            { _ = c.Send(Downstream, []byte("s")); _ = c.CloseSend() }

// TestManyServersDown sees that not all of very many servers are tried.
func TestManyServersDown(t *testing.T) {
	backend := backends[0]
	_, port, err := net.SplitHostPort(closedPort(t))
	check(t, err)
	config := gatewayConfig(backend, "127.0.1.1:"+port)
	for i := range 2 * maxAttempts {
		config.Upstreams[0].Servers = append(config.Upstreams[0].Servers, fmt.Sprintf("127.0.2.%d:%s", i+1, port))
	}
	g := startGateway(t, config)
	g.refused(t)
	eventually(t, "the reason is known", func() bool { return g.log.has(syscall.ECONNREFUSED.Error()) })
	chosen := uint64(0)
	for _, s := range g.UpstreamInfos()[0].Servers {
		chosen += s.Chosen
	}
	if chosen != maxAttempts {
		t.Errorf("%d servers were tried", chosen)
	}
}
