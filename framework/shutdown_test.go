package framework

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fwx/framework/completion"
)

// TestDrain sees that Shutdown lets connections finish, and accepts no more.
func TestDrain(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			f, ends := passing()
			g := startGateway(t, gatewayConfig(backend, serve(t, echo), f))
			c := g.dial(t)
			must(c.Write([]byte("x")))(t)
			must(io.ReadFull(c, make([]byte, 1)))(t)
			done := make(chan struct{})
			go func() {
				defer close(done)
				g.stop(t)
			}()
			eventually(t, "no more are accepted", func() bool {
				d, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", g.ListenAddress("in").String())
				if err == nil {
					d.Close()
				}
				return err != nil
			})
			if got, err := exchange(c, []byte("y")); string(got) != "y" {
				t.Errorf("got %q, %v", got, err)
			}
			<-done
			if e := ends.one(t); e.outcome != Passed {
				t.Errorf("ended %+v", e)
			}
		})
	}
}

// TestDeadline sees that what is left at the deadline is reset, the filters are
// told, and then ended; and that a second Shutdown does no harm.
func TestDeadline(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			f, ends := passing()
			order := &diary{}
			f.onDetach = func() { order.add("detach") }
			f.onShutdown = func(context.Context) error { order.add("shutdown"); return errors.New("not quite") }
			g := newGateway(t, gatewayConfig(backend, serve(t, echo), f))
			check(t, g.Start(t.Context()))
			c := g.dial(t)
			must(c.Write([]byte("x")))(t)
			must(io.ReadFull(c, make([]byte, 1)))(t)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := g.Shutdown(ctx); err == nil || err.Error() != `filter "a": not quite` {
				t.Errorf("Shutdown: %v", err)
			}
			check(t, g.Shutdown(ctx))
			wantReset(t, c)
			if e := ends.one(t); e.outcome != Failed || e.reason != "the service was shut down" {
				t.Errorf("ended %+v", e)
			}
			if diff := cmp.Diff([]string{"detach", "shutdown"}, order.lines()); diff != "" {
				t.Error(diff)
			}
			if err := g.Port().Workers()[0].Post(func() {}); !errors.Is(err, completion.ErrPortClosed) {
				t.Errorf("the port is open: %v", err)
			}
		})
	}
}

// TestNeverResumes sees that a filter that never resumes keeps neither the
// others from being told, nor Shutdown from its end.
func TestNeverResumes(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			for _, in := range []EventMask{AcceptedConnection, ConnectTCP, ConnectionTerminating, 0} {
				t.Run(in.String(), func(t *testing.T) {
					held := make(chan *Connection, 4)
					f := &testFilter{mask: allEvents}
					f.onEvent = func(ev *Event) Verdict {
						if ev.Type == in {
							held <- ev.Connection
							return Hold
						}
						return Pass
					}
					if in == 0 {
						f.onData = func(c *Connection, _ Direction, _ []byte) Verdict {
							held <- c
							return Hold
						}
					}
					first, second := &testFilter{mask: allEvents}, &testFilter{mask: AcceptedConnection | ConnectionTerminating}
					if in == ConnectionTerminating {
						second.onEvent = f.onEvent // one after the other
					}
					g := newGateway(t, gatewayConfig(backend, serve(t, echo), first, f, second))
					g.Firewall.patience = 20 * time.Millisecond
					check(t, g.Start(t.Context()))
					client := g.dial(t)
					must(client.Write([]byte("x")))(t)
					if in == ConnectionTerminating {
						client.Close()
					}
					c := <-held
					ctx, cancel := context.WithCancel(t.Context())
					cancel()
					check(t, g.Shutdown(ctx))
					if n := g.Connections(); n != 0 {
						t.Errorf("%d connections are left", n)
					}
					if first.ended.Load() != 1 || f.ended.Load() != 1 || second.ended.Load() != 1 {
						t.Errorf("the end was told %d, %d and %d times", first.ended.Load(), f.ended.Load(), second.ended.Load())
					}
					if !g.log.has("a filter still holds a connection that has ended") || !g.log.has("by=b") {
						t.Error("the filter is not named in the log")
					}
					if err := c.Send(Upstream, []byte("x")); !errors.Is(err, ErrTerminating) {
						t.Errorf("Send: %v", err)
					}
				})
			}
		})
	}
}

// TestLateResume sees that a chunk stays as it was until the filter that was
// given up resumes after all.
func TestLateResume(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			type chunk struct {
				c    *Connection
				data []byte
			}
			held := make(chan chunk, 1)
			f := &testFilter{onData: func(c *Connection, _ Direction, data []byte) Verdict {
				if string(data) == "held" {
					held <- chunk{c, data}
					c.Close() // it holds all the same
					return Hold
				}
				return Pass
			}}
			g := newGateway(t, gatewayConfig(backend, serve(t, echo), f))
			g.Firewall.patience = time.Millisecond
			g.start(t)
			client := g.dial(t)
			must(client.Write([]byte("held")))(t)
			h := <-held
			eventually(t, "the connection ends", func() bool { return f.ended.Load() == 1 })
			for range 10 { // the buffer must not be used for others meanwhile
				must(exchange(g.dial(t), []byte("other")))(t)
			}
			check(t, h.c.Worker().Call(func() {
				if string(h.data) != "held" {
					t.Errorf("the chunk has become %q", h.data)
				}
				if err := h.c.Resume(Upstream, Pass); !errors.Is(err, ErrTerminating) {
					t.Errorf("Resume: %v", err)
				}
				if err := h.c.Resume(Upstream, Pass); !errors.Is(err, ErrBadContext) {
					t.Errorf("second Resume: %v", err)
				}
			}))
		})
	}
}

// TestHeldAndInjected ends connections on which a chunk is held and, in the same
// direction, injected data is being sent: the chunk must outlive that.
func TestHeldAndInjected(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			stop := make(chan struct{})
			server := serve(t, func(*net.TCPConn) { <-stop })
			t.Cleanup(func() { close(stop) })
			held := make(chan error, 1)
			f := &testFilter{onData: func(c *Connection, _ Direction, data []byte) Verdict {
				var err error
				for range 64 { // more than the server's socket takes
					if err = c.Send(Upstream, make([]byte, 512<<10)); err != nil {
						break
					}
				}
				c.Worker().AfterFunc(10*time.Millisecond, func() {
					c.Reset()
					c.Worker().AfterFunc(10*time.Millisecond, func() {
						if string(data) != "held" {
							err = errors.New("the chunk has become " + string(data))
						}
						held <- err
						resume(c, Upstream, Pass)
					})
				})
				return Hold
			}}
			g := startGateway(t, gatewayConfig(backend, server, f))
			client := g.dial(t)
			must(client.Write([]byte("held")))(t)
			if err := <-held; !errors.Is(err, ErrQueueFull) {
				t.Error(err)
			}
			eventually(t, "the connection ends", func() bool { return f.ended.Load() == 1 })
		})
	}
}

// TestAddressFreed sees that an address which its user gives up in a moment is waited for, as
// a process that was killed does, and that the log says so.
func TestAddressFreed(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			taken := must((&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0"))(t)
			defer taken.Close()
			config := gatewayConfig(backend, serve(t, echo))
			config.Listeners[0].Listen = taken.Addr().String()
			g := newGateway(t, config)
			started := make(chan error)
			go func() { started <- g.Start(t.Context()) }()
			eventually(t, "the log says so", func() bool {
				return g.log.has(`level=WARN msg="the address is in use; trying again" address=` + taken.Addr().String())
			})
			check(t, taken.Close())
			check(t, <-started)
			t.Cleanup(func() { g.stop(t) })
			if got, err := exchange(g.dial(t), []byte("x")); err != nil || string(got) != "x" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// TestStartFails sees that a start that fails half way leaves nothing open, and
// ends the filters that had begun, the last first.
func TestStartFails(t *testing.T) {
	t.Parallel()
	taken := must((&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0"))(t)
	t.Cleanup(func() { taken.Close() })
	ok := func(*Firewall) error { return nil }
	tests := []struct {
		name   string
		change func(c *Config)
		onInit func(*Firewall) error // of the second filter
		want   string
		ended  []string
	}{
		{"filter", func(*Config) {}, func(*Firewall) error { return errors.New("no disk") }, `filter "b": no disk`, []string{"b", "a"}},
		{"panic", func(*Config) {}, func(*Firewall) error { panic("no disk") }, `filter "b": it panicked: no disk`, []string{"b", "a"}},
		{"listener", func(c *Config) { c.Listeners[0].Listen = taken.Addr().String() }, ok, `listener "in": listen on ` + taken.Addr().String() + ": address already in use", nil},
		{"upstream", func(c *Config) { c.Upstreams[0].Servers = []string{"host.invalid:80"} }, ok, `upstream "out": server "host.invalid:80": `, nil},
		{"builtin", func(c *Config) {
			c.Upstreams[0].Servers = []string{"builtin:demo"}
			c.Builtin = map[string]string{"demo": ""}
		}, ok, `this program has no such builtin server`, nil},
	}
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			for _, test := range tests {
				t.Run(test.name, func(t *testing.T) {
					d := &diary{}
					filter := func(name string, onInit func(*Firewall) error) *testFilter {
						return &testFilter{onInit: onInit, onShutdown: func(ctx context.Context) error {
							d.add("%s", name)
							return ctx.Err()
						}}
					}
					config := gatewayConfig(backend, "127.0.0.1:1", filter("a", ok), filter("b", test.onInit), filter("c", ok))
					test.change(&config)
					g := newGateway(t, config)
					err := g.Start(t.Context())
					if err == nil || !strings.HasPrefix(err.Error(), test.want) && !strings.Contains(err.Error(), test.want) {
						t.Errorf("Start: %v", err)
					}
					if diff := cmp.Diff(test.ended, d.lines()); diff != "" {
						t.Error(diff)
					}
					check(t, g.Shutdown(t.Context()))
					if err := g.Start(t.Context()); err == nil {
						t.Error("it started a second time")
					}
				})
			}
		})
	}
}

func TestStartTwice(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			g := newGateway(t, gatewayConfig(backend, "127.0.0.1:1"))
			if g.Port() != nil || g.ListenAddress("in").IsValid() {
				t.Error("something is open before Start")
			}
			check(t, g.Shutdown(t.Context())) // nothing to do
			g.start(t)
			if err := g.Start(t.Context()); err == nil {
				t.Error("it started a second time")
			}
			if g.ListenAddress("other").IsValid() || !g.ListenAddress("in").IsValid() {
				t.Error("wrong addresses")
			}
		})
	}
}

// TestEventsAfterInit is row C29: a client that connects while filters are being
// made ready waits.
func TestEventsAfterInit(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			var client net.Conn
			d := &diary{}
			a, b := d.filter("a", ConnectTCP), d.filter("b", ConnectTCP)
			a.onData, b.onData = nil, nil
			b.onInit = func(fw *Firewall) error {
				client = dial(t, "tcp", fw.ListenAddress("in").String())
				_, err := client.Write([]byte("x"))
				check(t, fw.Port().Workers()[0].Call(func() {})) // a turn, in which it would be accepted
				d.add("b ready")
				return err
			}
			g := startGateway(t, gatewayConfig(backend, serve(t, echo), a, b))
			must(io.ReadFull(client, make([]byte, 1)))(t)
			client.Close()
			g.stop(t)
			want := []string{"a init", "b ready", "a attach", "b attach", "a connect", "b connect", "a detach", "b detach"}
			if diff := cmp.Diff(want, d.lines()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRun(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			g := newGateway(t, gatewayConfig(backend, serve(t, echo)))
			ended := make(chan error, 1)
			go func() { ended <- g.Run(ctx) }()
			eventually(t, "it listens", func() bool { return g.ListenAddress("in").IsValid() })
			if got, err := exchange(g.dial(t), []byte("x")); string(got) != "x" {
				t.Errorf("got %q, %v", got, err)
			}
			cancel()
			check(t, <-ended)
		})
	}
}
