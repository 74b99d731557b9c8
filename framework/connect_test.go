package framework

import (
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// closedPort returns an address where nobody listens, nor will: it is the client's in a
// connection that stays.
func closedPort(t *testing.T) string {
	t.Helper()
	ln := must((&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0"))(t)
	t.Cleanup(func() { ln.Close() })
	return dial(t, "tcp", ln.Addr().String()).LocalAddr().String()
}

// named serves its name.
func named(t *testing.T, name string) string {
	t.Helper()
	return serve(t, func(c *net.TCPConn) {
		_, _ = c.Write([]byte(name))
		_, _ = io.Copy(io.Discard, c)
	})
}

func TestRoundRobin(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			config := gatewayConfig(backend, named(t, "1"))
			config.Upstreams[0].Servers = append(config.Upstreams[0].Servers, named(t, "2"), named(t, "3"))
			g := startGateway(t, config)
			var got strings.Builder
			for range 6 {
				name := must(exchange(g.dial(t), nil))(t)
				got.Write(name)
			}
			if got.String() != "123123" {
				t.Errorf("the turns were %s", got.String())
			}
		})
	}
}

func TestFailover(t *testing.T) {
	t.Parallel()
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			for name, bad := range map[string]func(t *testing.T) string{
				"refused":   closedPort,
				"no answer": fullBacklog,
				"no socket": func(*testing.T) string { return "unix:/nowhere" },
			} {
				t.Run(name, func(t *testing.T) {
					config := gatewayConfig(backend, bad(t))
					config.Upstreams[0].Servers = append(config.Upstreams[0].Servers, named(t, "good"))
					config.Upstreams[0].ConnectTimeout = answered
					g := startGateway(t, config)
					for range 4 {
						if got, err := exchange(g.dial(t), nil); err != nil || string(got) != "good" {
							t.Errorf("got %q, %v", got, err)
						}
					}
				})
			}
		})
	}
}

func TestAllDown(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			f, ends := passing()
			config := gatewayConfig(backend, closedPort(t), f)
			config.Upstreams[0].Servers = append(config.Upstreams[0].Servers, closedPort(t))
			g := startGateway(t, config)
			g.refused(t)
			e := ends.one(t)
			if e.outcome != Failed || !strings.Contains(e.reason, `upstream "out": no server could be connected`) ||
				!strings.Contains(e.reason, syscall.ECONNREFUSED.Error()) {
				t.Errorf("ended %+v", e)
			}
			if f.gone.Load() != 1 {
				t.Errorf("the data filter was detached %d times", f.gone.Load())
			}
		})
	}
}

// answered is in which time a server on a busy machine answers.
const answered = 500 * time.Millisecond

func TestIdle(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			f, ends := passing()
			config := gatewayConfig(backend, serve(t, echo), f)
			config.Listeners[0].IdleTimeout = answered
			g := startGateway(t, config)
			c := g.dial(t)
			must(c.Write([]byte("x")))(t)
			if got, err := io.ReadAll(c); err != nil || string(got) != "x" {
				t.Errorf("got %q, %v", got, err)
			}
			if e := ends.one(t); e != (end{Passed, "idle for " + answered.String(), 1, 1}) {
				t.Errorf("ended %+v", e)
			}
		})
	}
}

// TestIdleHeld sees that a filter may hold for longer than the idle timeout,
// and that the time begins anew behind it.
func TestIdleHeld(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			f := &testFilter{onData: func(c *Connection, dir Direction, _ []byte) Verdict {
				if dir == Downstream {
					return Pass
				}
				c.Worker().AfterFunc(answered+100*time.Millisecond, func() { resume(c, dir, Pass) })
				return Hold
			}}
			config := gatewayConfig(backend, serve(t, echo), f)
			config.Listeners[0].IdleTimeout = answered
			g := startGateway(t, config)
			c := g.dial(t)
			must(c.Write([]byte("x")))(t)
			if got, err := io.ReadAll(c); err != nil || string(got) != "x" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// TestLimit sees that clients above the limit wait, and are served when others go.
func TestLimit(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			config := gatewayConfig(backend, named(t, "x"))
			config.Service.MaxConnections = 2
			g := startGateway(t, config)
			read := func(c net.Conn) error {
				_, err := io.ReadFull(c, make([]byte, 1))
				return err
			}
			clients := make([]*net.TCPConn, 0, 6)
			for range 6 {
				clients = append(clients, g.dial(t))
			}
			eventually(t, "the limit is reached", func() bool { return g.log.has("limit of connections reached") })
			check(t, clients[2].SetReadDeadline(time.Now().Add(50*time.Millisecond)))
			if err := read(clients[2]); err == nil {
				t.Error("a third connection was served")
			}
			check(t, clients[2].SetReadDeadline(time.Now().Add(patience)))
			for _, c := range clients {
				check(t, read(c))
				if n := g.Connections(); n > 2 {
					t.Errorf("%d connections", n)
				}
				c.Close()
			}
		})
	}
}

// TestLimitAll has several listeners fight for a limit; nobody is forgotten.
func TestLimitAll(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			config := gatewayConfig(backend, serve(t, echo))
			config.Service.MaxConnections = 3
			for _, name := range []string{"second", "third"} {
				config.Listeners = append(config.Listeners, ListenerConfig{Name: name, Listen: "127.0.0.1:0", Upstream: "out"})
			}
			g := startGateway(t, config)
			errs := make(chan error)
			for i := range 60 {
				l := config.Listeners[i%3]
				go func() {
					var d net.Dialer
					c, err := d.DialContext(t.Context(), "tcp", g.ListenAddress(l.Name).String())
					if err == nil {
						_ = c.SetDeadline(time.Now().Add(patience)) // it is open
						_, err = exchange(c, []byte("x"))
						c.Close()
					}
					errs <- err
				}()
			}
			for range 60 {
				check(t, <-errs)
			}
		})
	}
}

// TestLimitShared sees that several listeners do not get in more than there may be:
// who has been accepted by another one meanwhile waits for a place.
func TestLimitShared(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			f, _ := passing()
			config := gatewayConfig(backend, serve(t, echo), f)
			config.Service.MaxConnections = 1
			for _, name := range []string{"second", "third"} {
				l := config.Listeners[0]
				l.Name = name
				config.Listeners = append(config.Listeners, l)
			}
			g := startGateway(t, config)
			served := make(chan net.Conn)
			for _, l := range config.Listeners {
				c := dial(t, "tcp", g.ListenAddress(l.Name).String())
				go func() {
					if _, err := c.Write([]byte("x")); err != nil {
						t.Error(err)
					}
					if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
						t.Error(err)
					}
					served <- c
				}()
			}
			for i := range config.Listeners {
				c := <-served
				if n := g.lastID.Load(); n != uint64(i+1) {
					t.Errorf("%d connections have been let in while one of them after the other was open", n)
				}
				if i == 0 {
					eventually(t, "all listeners wait", func() bool {
						waiting := 0
						for _, l := range config.Listeners {
							if g.log.has("limit of connections reached; new ones wait\" listener=" + l.Name) {
								waiting++
							}
						}
						return waiting == len(config.Listeners)
					})
					if n := g.lastID.Load(); n != 1 {
						t.Errorf("%d connections have been let in, of 1", n)
					}
				}
				c.Close()
			}
		})
	}
}
