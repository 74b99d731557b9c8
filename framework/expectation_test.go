package framework

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// expecting returns a filter that expects a connection for each chunk that a client
// sends, and what came of it.
func expecting(e *Expectation) (*testFilter, chan *Expected) {
	made := make(chan *Expected, maxExpected)
	f := &testFilter{onData: func(c *Connection, dir Direction, _ []byte) Verdict {
		if dir == Downstream || c.Parent() != nil {
			return Pass
		}
		x, err := c.Expect(*e)
		if err != nil {
			return Fail(err.Error())
		}
		made <- x
		return Pass
	}}
	return f, made
}

// addrPort parses the address of a test's server.
func addrPort(t *testing.T, s string) netip.AddrPort {
	t.Helper()
	return must(netip.ParseAddrPort(s))(t)
}

// primary connects and makes the filter expect a connection.
func (g *gateway) primary(t *testing.T) *net.TCPConn {
	t.Helper()
	c := g.dial(t)
	must(c.Write([]byte("x")))(t)
	return c
}

// gone sees that nobody listens on an address any more.
func gone(t *testing.T, a netip.AddrPort) {
	t.Helper()
	eventually(t, "nobody listens", func() bool {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", a.String())
		if err == nil {
			c.Close()
		}
		return err != nil
	})
}

// TestExpect has rows C34 and C38: a connection comes through the gateway and the
// filters, from the client or from the server. The filter that expects it is told
// that it stands; one that wants all connections is told its events; others are
// told nothing of it.
func TestExpect(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			for _, dir := range []Direction{Upstream, Downstream} {
				t.Run(dir.String(), func(t *testing.T) {
					var book diary
					note := func(name string, c *Connection, what string) {
						if c.Parent() != nil {
							book.add("%s %s", name, what)
						}
					}
					to := addrPort(t, serve(t, echo))
					e := Expectation{Direction: dir, To: to}
					f, made := expecting(&e)
					e.Filter = f
					all := &testFilter{mask: allEvents | AssociatedProtocolsAllConnections | EstablishedConnection}
					plain := &testFilter{mask: allEvents | EstablishedConnection}
					var secondary, parent *Connection
					f.onEvent = func(ev *Event) Verdict {
						note("a", ev.Connection, ev.Type.String())
						if ev.Type == EstablishedConnection {
							secondary, parent = ev.Connection, ev.Connection.Parent()
						}
						return Pass
					}
					all.onEvent = func(ev *Event) Verdict { note("b", ev.Connection, ev.Type.String()); return Pass }
					all.onData = func(c *Connection, dir Direction, chunk []byte) Verdict {
						note("b", c, dir.String()+" "+string(chunk))
						return Pass
					}
					plain.onEvent = func(ev *Event) Verdict { note("c", ev.Connection, ev.Type.String()); return Pass }
					g := startGateway(t, gatewayConfig(backend, serve(t, echo), f, all, plain))
					c := g.primary(t)
					x := <-made
					d := dial(t, "tcp", x.Address().String())
					got, err := exchange(d, []byte("data"))
					if err != nil || string(got) != "data" {
						t.Errorf("got %q, %v", got, err)
					}
					check(t, c.CloseWrite())
					must(io.ReadAll(c))(t)
					g.stop(t)
					want := []string{
						"b accepted", "b connect", "a established",
						"b " + dir.String() + " data", "b " + (1 - dir).String() + " data",
						"a terminating", "b terminating",
					}
					if diff := cmp.Diff(want, book.lines()); diff != "" {
						t.Error(diff)
					}
					client, server := secondary.Client().AddrPort, secondary.Server().AddrPort
					if dir == Downstream {
						client, server = server, client
					}
					if client.String() != d.LocalAddr().String() || server != to {
						t.Errorf("from %v to %v", client, server)
					}
					if secondary.Expected() != x || parent.Parent() != nil || secondary.Session() != parent.Session() {
						t.Error("it is not of the connection that has expected it")
					}
				})
			}
		})
	}
}

// TestExpectOver is row C43: an expectation ends with the connection that it is
// about, with its time, by Cancel, with the connection that has it, and with the
// service. Then nobody listens any more.
func TestExpectOver(t *testing.T) {
	ends := map[string]func(t *testing.T, g *gateway, c *net.TCPConn, x *Expected){
		"once": func(t *testing.T, _ *gateway, _ *net.TCPConn, x *Expected) {
			t.Helper()
			must(exchange(dial(t, "tcp", x.Address().String()), []byte("x")))(t)
		},
		"time": func(*testing.T, *gateway, *net.TCPConn, *Expected) {},
		"cancel": func(t *testing.T, _ *gateway, _ *net.TCPConn, x *Expected) {
			t.Helper()
			check(t, x.parent.Worker().Call(func() { x.Cancel(); x.Cancel() }))
		},
		"the parent ends": func(_ *testing.T, _ *gateway, c *net.TCPConn, _ *Expected) { c.Close() },
		"the service ends": func(t *testing.T, g *gateway, _ *net.TCPConn, _ *Expected) {
			t.Helper()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			check(t, g.Shutdown(ctx))
		},
	}
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			for name, end := range ends {
				t.Run(name, func(t *testing.T) {
					e := Expectation{To: addrPort(t, serve(t, echo))}
					if name == "time" {
						e.Timeout = time.Millisecond
					}
					f, made := expecting(&e)
					g := startGateway(t, gatewayConfig(backend, serve(t, echo), f))
					c := g.primary(t)
					x := <-made
					end(t, g, c, x)
					gone(t, x.Address())
					c.Close()
					eventually(t, "all places are given back", func() bool { return g.Connections() == 0 })
				})
			}
		})
	}
}

// TestExpectFrom is row C45: only who is expected may connect. Without a word that
// is the peer and not everyone; what a filter does to its list later has no effect.
func TestExpectFrom(t *testing.T) {
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	tests := []struct {
		name     string
		from     []netip.Prefix
		admitted string
		refused  []string
	}{
		{"the peer", nil, "127.0.0.1", []string{"127.0.0.2", "127.0.0.3"}},
		{"another", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.2/32")}, "127.0.0.2", []string{"127.0.0.1"}},
		{"many", []netip.Prefix{loopback}, "127.0.0.3", nil},
	}
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			for _, test := range tests {
				t.Run(test.name, func(t *testing.T) {
					e := Expectation{To: addrPort(t, serve(t, echo)), From: slices.Clone(test.from)}
					f, made := expecting(&e)
					expect := f.onData
					f.onData = func(c *Connection, dir Direction, chunk []byte) Verdict {
						defer clear(e.From)
						return expect(c, dir, chunk)
					}
					g := startGateway(t, gatewayConfig(backend, serve(t, echo), f))
					g.primary(t)
					x := <-made
					for _, ip := range test.refused {
						if got, err := exchangeFrom(t, ip, x.Address()); err == nil {
							t.Errorf("%s was admitted: %q", ip, got)
						}
					}
					if got, err := exchangeFrom(t, test.admitted, x.Address()); err != nil || string(got) != "x" {
						t.Errorf("got %q, %v", got, err)
					}
					if len(test.refused) > 0 && !g.log.has("no connection is expected from") {
						t.Error("nothing is said of those who were not expected")
					}
				})
			}
		})
	}
}

// exchangeFrom connects from an address, and sends an x. It may be reset at once.
func exchangeFrom(t *testing.T, from string, to netip.AddrPort) ([]byte, error) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(t.Context(), "tcp", to.String())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	check(t, c.SetDeadline(time.Now().Add(patience)))
	return exchange(c, []byte("x"))
}

// noPointer is a session filter that cannot be compared.
type noPointer []func()

func (noPointer) FirewallEventHandler(*Event) Verdict { return Pass }

// TestExpectMisuse expects what cannot be expected.
func TestExpectMisuse(t *testing.T) {
	to := netip.MustParseAddrPort("127.0.0.1:9")
	tests := []struct {
		name  string
		e     Expectation
		is    error
		error string
	}{
		{"nowhere to connect to", Expectation{}, nil, "it cannot be connected to"},
		{"no port", Expectation{To: netip.MustParseAddrPort("127.0.0.1:0")}, nil, `it cannot be connected to "127.0.0.1:0"`},
		{"time below zero", Expectation{To: to, Timeout: -1}, nil, "wants a time of up to 10m0s, not -1ns"},
		{"too long", Expectation{To: to, Timeout: time.Hour}, nil, "wants a time of up to 10m0s, not 1h0m0s"},
		{"an address of somebody else", Expectation{To: to, Local: netip.MustParseAddrPort("192.0.2.1:0")}, nil, "listen on 192.0.2.1:0"},
		{"a filter of no session", Expectation{To: to, Filter: &testFilter{}}, nil, "is not attached to the session"},
		{"a filter like no other", Expectation{To: to, Filter: noPointer{}}, nil, "is not attached to the session"},
		{"good", Expectation{To: to}, nil, ""},
	}
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			var errs []error
			var early, behind, much error
			expected := 0
			f := &testFilter{mask: allEvents}
			f.onEvent = func(ev *Event) Verdict {
				_, err := ev.Connection.Expect(Expectation{Direction: Downstream, To: to})
				if ev.Type == AcceptedConnection {
					early = err
				}
				behind = err // that of the last event
				return Pass
			}
			f.onData = func(c *Connection, dir Direction, _ []byte) Verdict {
				if dir == Downstream {
					return Pass
				}
				for _, test := range tests {
					_, err := c.Expect(test.e)
					errs = append(errs, err)
				}
				for expected = 1; expected <= 2*maxExpected; expected++ {
					if _, much = c.Expect(Expectation{To: to}); much != nil {
						break
					}
				}
				return Pass
			}
			g := startGateway(t, gatewayConfig(backend, serve(t, echo), f))
			must(exchange(g.dial(t), []byte("x")))(t)
			g.stop(t)
			for i, test := range tests {
				if err := errs[i]; (err == nil) != (test.error == "") || err != nil && !strings.Contains(err.Error(), test.error) {
					t.Errorf("%s: %v", test.name, err)
				}
			}
			if !errors.Is(early, ErrBadContext) || !errors.Is(behind, ErrTerminating) {
				t.Errorf("early %v, behind %v", early, behind)
			}
			if !errors.Is(much, ErrTooManyConnections) || expected != maxExpected {
				t.Errorf("%d are expected, then %v", expected, much)
			}
		})
	}
}

// TestExpectLimit sees that an expectation takes the place of a connection, which
// the connection that comes then has.
func TestExpectLimit(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			var full atomic.Bool
			to := addrPort(t, serve(t, echo))
			f, made := expecting(&Expectation{To: to})
			expect := f.onData
			f.onData = func(c *Connection, dir Direction, chunk []byte) Verdict {
				v := expect(c, dir, chunk)
				if dir == Upstream && c.Parent() == nil {
					_, err := c.Expect(Expectation{To: to})
					full.Store(errors.Is(err, ErrTooManyConnections))
				}
				return v
			}
			config := gatewayConfig(backend, serve(t, echo), f)
			config.Service.MaxConnections = 2
			g := startGateway(t, config)
			c := g.primary(t)
			x := <-made
			d := dial(t, "tcp", x.Address().String())
			must(d.Write([]byte("x")))(t)
			must(io.ReadFull(d, make([]byte, 1)))(t)
			if n := g.Connections(); n != 2 || !full.Load() {
				t.Errorf("%d connections; the last expectation was refused: %t", n, full.Load())
			}
			c.Close()
			d.Close()
			eventually(t, "they end", func() bool { return g.Connections() == 0 })
		})
	}
}

// TestExpectEnds ends secondary connections in several ways.
func TestExpectEnds(t *testing.T) {
	tests := []struct {
		name    string
		onEvent func(ev *Event) Verdict
		outcome Outcome
		reason  string
	}{
		{"nobody is there", nil, Failed, "expected connection: "},
		{"denied", func(*Event) Verdict { return Deny("bad") }, Denied, "bad"},
		{"closed", func(ev *Event) Verdict { ev.Connection.Close(); return Pass }, Passed, ""},
		{"emulated too late", func(ev *Event) Verdict { return Fail(ev.Connection.Emulate(&testEmulator{}).Error()) }, Failed, `filter "a": ` + ErrBadContext.Error()},
		{"panic", func(*Event) Verdict { panic("on purpose") }, Failed, `filter "a": it panicked`},
	}
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			for _, test := range tests {
				t.Run(test.name, func(t *testing.T) {
					to := serve(t, echo)
					if test.onEvent == nil {
						to = closedPort(t)
					}
					e := Expectation{To: addrPort(t, to)}
					f, made := expecting(&e)
					e.Filter = f
					ended := make(chan end, 2)
					f.onEvent = func(ev *Event) Verdict {
						switch c := ev.Connection; {
						case ev.Type == EstablishedConnection:
							return test.onEvent(ev)
						case ev.Type == ConnectionTerminating && c.Parent() != nil:
							ended <- end{outcome: c.Outcome(), reason: c.Reason()}
						}
						return Pass
					}
					g := startGateway(t, gatewayConfig(backend, serve(t, echo), f))
					c := g.primary(t)
					if got, err := exchangeFrom(t, "127.0.0.1", (<-made).Address()); len(got) > 0 {
						t.Errorf("got %q, %v", got, err)
					}
					if got := <-ended; got.outcome != test.outcome || !strings.HasPrefix(got.reason, test.reason) {
						t.Errorf("ended %+v", got)
					}
					if got, err := exchange(c, nil); err != nil || string(got) != "x" {
						t.Errorf("the parent: %q, %v", got, err)
					}
				})
			}
		})
	}
}

// TestExpectIdle sees that a connection is not idle while a secondary one lasts.
func TestExpectIdle(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			to := addrPort(t, serve(t, echo))
			f, made := expecting(&Expectation{To: to})
			g := startGateway(t, gatewayConfig(backend, serve(t, echo), f))
			c := g.primary(t)
			x := <-made
			must(io.ReadFull(c, make([]byte, 1)))(t)
			d := dial(t, "tcp", x.Address().String())
			must(d.Write([]byte("x")))(t)
			must(io.ReadFull(d, make([]byte, 1)))(t)
			look := func() { // as the timer does when nothing has moved for long
				x.parent.active -= 2 * defaultIdleTimeout
				x.parent.checkIdle()
			}
			check(t, x.parent.Worker().Call(look))
			must(c.Write([]byte("x")))(t)
			must(io.ReadFull(c, make([]byte, 1)))(t)
			d.Close()
			eventually(t, "it has become idle", func() bool {
				check(t, x.parent.Worker().Call(func() {
					if x.parent.secondaries == 0 {
						look()
					}
				}))
				return g.Connections() == 0
			})
		})
	}
}

// TestUnixLeftBehind sees that a unix socket that nobody answers on is replaced,
// and nothing else is.
func TestUnixLeftBehind(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("not on this system: unix sockets")
	}
	dir := must(os.MkdirTemp("", "fwx"))(t)     //nolint:usetesting // the path of T.TempDir is too long for a socket
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // it is of the system's temporary files
	path := func(name string) string { return filepath.Join(dir, name) }
	serveOn(t, "unix", path("live"), func(net.Conn) {})
	check(t, os.WriteFile(path("file"), []byte("text"), 0o600))
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			abandoned := path("left-" + backend)
			left := must((&net.ListenConfig{}).Listen(t.Context(), "unix", abandoned))(t).(*net.UnixListener)
			left.SetUnlinkOnClose(false)
			check(t, left.Close())
			config := gatewayConfig(backend, serve(t, echo))
			config.Listeners[0].Listen = "unix:" + abandoned
			g := startGateway(t, config)
			if got, err := exchange(dial(t, "unix", abandoned), []byte("x")); err != nil || string(got) != "x" {
				t.Errorf("got %q, %v", got, err)
			}
			g.stop(t)
			for name, user := range map[string]string{"live": "a program that listens", "file": "a file that is not a socket"} {
				config.Listeners[0].Listen = "unix:" + path(name)
				err := newGateway(t, config).Start(t.Context())
				if want := "listen on unix:" + path(name) + ": address already in use by " + user; err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error is %v, not %q", err, want)
				}
				if _, err := os.Lstat(path(name)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
