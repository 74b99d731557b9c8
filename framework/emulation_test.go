package framework

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"fwx/framework/completion"
)

// testEmulator is an emulator made of functions, those of which may be nil.
type testEmulator struct {
	onData    func(c *Connection, chunk []byte) Verdict
	onEnd     func(c *Connection)
	onMaySend func(c *Connection)

	detached atomic.Int64
}

func (e *testEmulator) Data(c *Connection, chunk []byte) Verdict {
	if e.onData == nil {
		return Pass
	}
	return e.onData(c, chunk)
}

func (e *testEmulator) End(c *Connection) {
	if e.onEnd != nil {
		e.onEnd(c)
		return
	}
	_ = c.CloseSend() // it is open, or has been closed already
}

func (e *testEmulator) MaySend(c *Connection) {
	if e.onMaySend != nil {
		e.onMaySend(c)
	}
}

func (e *testEmulator) Detach() { e.detached.Add(1) }

// emulating returns a filter that has every connection emulated, and the ends of
// the connections.
func emulating(e Emulator) (*testFilter, *ends) {
	ends := &ends{}
	return &testFilter{onEvent: func(ev *Event) Verdict {
		if ev.Type == ConnectTCP {
			if err := ev.Connection.Emulate(e); err != nil {
				return Fail(err.Error())
			}
		}
		return ends.event(ev)
	}}, ends
}

// TestEmulate is row C42: no server is connected, what the client sends comes
// through the chain, and the emulator answers.
func TestEmulate(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			var server completion.Address
			e := &testEmulator{}
			e.onData = func(c *Connection, chunk []byte) Verdict {
				if err := c.Send(Downstream, bytes.Clone(chunk)); err != nil {
					return Fail(err.Error())
				}
				return Pass
			}
			e.onEnd = func(c *Connection) {
				server = c.Server()
				check(t, errors.Join(c.Send(Downstream, []byte(" bye")), c.CloseSend()))
			}
			f, ends := emulating(e)
			// Filters before it and behind it in the list: the emulator is the last all the same.
			upper := func(_ *Connection, dir Direction, chunk []byte) Verdict {
				if dir == Downstream {
					return Fail("the emulator is not filtered")
				}
				return Replace(bytes.ToUpper(chunk))
			}
			config := gatewayConfig(backend, closedPort(t), &testFilter{onData: upper}, f, &testFilter{onData: upper})
			config.Filters[2].Class = ClassEmulation
			g := startGateway(t, config)
			if got, err := exchange(g.dial(t), []byte("hello")); err != nil || string(got) != "HELLO bye" {
				t.Errorf("got %q, %v", got, err)
			}
			if got := ends.one(t); got != (end{Passed, "", 5, 9}) {
				t.Errorf("ended %+v", got)
			}
			g.stop(t)
			if server != (completion.Address{}) || e.detached.Load() != 1 {
				t.Errorf("the server is %v, detached %d times", server, e.detached.Load())
			}
		})
	}
}

// TestEmulateMisuse has row C37: a second emulator is refused.
func TestEmulateMisuse(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			var list []error
			want := func(what string, err, want error) {
				if !errors.Is(err, want) {
					list = append(list, fmt.Errorf("%s: got %w, want %w", what, err, want))
				}
			}
			e := &testEmulator{}
			e.onData = func(c *Connection, _ []byte) Verdict {
				want("in Data", c.Emulate(e), ErrBadContext)
				want("to the server", c.Send(Upstream, []byte("x")), ErrBadContext)
				want("an answer", c.Send(Downstream, []byte("y")), nil)
				want("the end of the answer", c.CloseSend(), nil)
				want("a second end", c.CloseSend(), ErrTerminating)
				want("behind the end", c.Send(Downstream, []byte("z")), ErrTerminating)
				return Pass
			}
			var plain atomic.Bool
			f := &testFilter{mask: allEvents, onEvent: func(ev *Event) Verdict {
				c := ev.Connection
				switch {
				case plain.Load():
					want("the end where there is a server", c.CloseSend(), map[bool]error{false: ErrBadContext, true: ErrTerminating}[c.Ended()])
				case ev.Type == AcceptedConnection:
					want("accepted", c.Emulate(e), ErrBadContext)
				case ev.Type == ConnectionTerminating:
					want("terminating", c.Emulate(e), ErrTerminating)
					want("the end of a connection that has ended", c.CloseSend(), ErrTerminating)
				default:
					if c.Emulate(nil) == nil {
						want("nil", nil, errors.New("an error"))
					}
					want("the first", c.Emulate(e), nil)
					want("the second", c.Emulate(&testEmulator{}), ErrAlreadyEmulated)
					want("too early", c.Send(Downstream, []byte("x")), ErrBadContext)
					want("an end too early", c.CloseSend(), ErrBadContext)
				}
				return Pass
			}}
			g := startGateway(t, gatewayConfig(backend, serve(t, echo), f))
			if got, err := exchange(g.dial(t), []byte("x")); err != nil || string(got) != "y" {
				t.Errorf("got %q, %v", got, err)
			}
			eventually(t, "it ends", func() bool { return g.Connections() == 0 })
			plain.Store(true)
			must(exchange(g.dial(t), []byte("x")))(t)
			g.stop(t)
			if err := errors.Join(list...); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestEmulateMuch has an emulator that sends more than the queue takes, to a
// client that reads late, and one that holds what the client sends.
func TestEmulateMuch(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			t.Run("down", func(t *testing.T) {
				data := random(24 << 20)
				const piece = 100 << 10
				var full, sent atomic.Int64
				e := &testEmulator{onEnd: func(*Connection) {}}
				e.onMaySend = func(c *Connection) {
					for {
						n := min(sent.Load()+piece, int64(len(data)))
						err := c.Send(Downstream, data[sent.Load():n])
						if errors.Is(err, ErrQueueFull) {
							full.Add(1)
							return
						}
						check(t, err)
						sent.Store(n)
						if n == int64(len(data)) {
							check(t, c.CloseSend())
							return
						}
					}
				}
				f, ends := emulating(e)
				g := startGateway(t, gatewayConfig(backend, closedPort(t), f))
				c := g.dial(t)
				eventually(t, "the queue is full", func() bool { return full.Load() > 0 })
				got, err := exchange(c, nil)
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("got %d bytes of %d, %v", len(got), len(data), err)
				}
				if e := ends.one(t); e != (end{Passed, "", 0, uint64(len(data))}) {
					t.Errorf("ended %+v", e)
				}
			})
			t.Run("up", func(t *testing.T) {
				held, n := make(chan *Connection, 1), 0
				e := &testEmulator{onData: func(c *Connection, chunk []byte) Verdict {
					if n += len(chunk); n == len(chunk) {
						held <- c
						return Hold
					}
					return Pass
				}}
				f, ends := emulating(e)
				g := startGateway(t, gatewayConfig(backend, closedPort(t), f))
				client := g.dial(t)
				went := stuffed(t, client)
				if went > 64<<20 {
					t.Errorf("%d bytes were taken while the emulator held the first", went)
				}
				c := <-held
				check(t, c.Worker().Call(func() { resume(c, Upstream, Pass) }))
				must(exchange(client, nil))(t)
				if e := ends.one(t); e.up != uint64(went) || int64(n) != went || e.outcome != Passed {
					t.Errorf("sent %d bytes, the emulator got %d; ended %+v", went, n, e)
				}
			})
		})
	}
}

// TestEmulateEnds ends emulated connections in all ways.
func TestEmulateEnds(t *testing.T) {
	big := make([]byte, 1<<20)
	sendAll := func(c *Connection) {
		for c.Send(Downstream, big) == nil { //nolint:revive // until the queue is full
		}
	}
	tests := []struct {
		name     string
		emulator *testEmulator
		outcome  Outcome
		reason   string
	}{
		{"closes at once", &testEmulator{onMaySend: (*Connection).Close}, Passed, "a filter has closed the connection"},
		{"resets in a chunk", &testEmulator{onData: func(c *Connection, _ []byte) Verdict { c.Reset(); return Pass }}, Passed, "a filter has reset the connection"},
		{"closes at the end", &testEmulator{onEnd: (*Connection).Close}, Passed, "a filter has closed the connection"},
		{"closes with much to send", &testEmulator{onEnd: func(c *Connection) { sendAll(c); c.Close() }}, Passed, "a filter has closed the connection"},
		{"denies", &testEmulator{onData: func(*Connection, []byte) Verdict { return Deny("bad") }}, Denied, "bad"},
		{"fails", &testEmulator{onData: func(*Connection, []byte) Verdict { return Fail("bad") }}, Failed, `filter "a": bad`},
		{"panics in a chunk", &testEmulator{onData: func(*Connection, []byte) Verdict { panic("on purpose") }}, Failed, `filter "a": it panicked`},
		{"panics at the end", &testEmulator{onEnd: func(*Connection) { panic("on purpose") }}, Failed, "an emulator panicked"},
		{"panics when it may send", &testEmulator{onMaySend: func(*Connection) { panic("on purpose") }}, Failed, "an emulator panicked"},
	}
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			for _, test := range tests {
				t.Run(test.name, func(t *testing.T) {
					f, ends := emulating(test.emulator)
					g := startGateway(t, gatewayConfig(backend, closedPort(t), f))
					before := test.emulator.detached.Load()
					g.attempt(t)
					if e := ends.one(t); e.outcome != test.outcome || e.reason != test.reason {
						t.Errorf("ended %+v", e)
					}
					g.stop(t)
					if n := test.emulator.detached.Load() - before; n != 1 {
						t.Errorf("detached %d times", n)
					}
				})
			}
			t.Run("the client goes", func(t *testing.T) {
				e := &testEmulator{onMaySend: sendAll}
				f, ends := emulating(e)
				g := startGateway(t, gatewayConfig(backend, closedPort(t), f))
				c := g.dial(t)
				must(io.ReadFull(c, make([]byte, 100)))(t)
				check(t, c.SetLinger(0))
				c.Close()
				if e := ends.one(t); e.outcome != Failed || !strings.Contains(e.reason, "stream: ") {
					t.Errorf("ended %+v", e)
				}
			})
			t.Run("shutdown", func(t *testing.T) {
				sending := make(chan struct{}, 1)
				e := &testEmulator{onMaySend: func(c *Connection) {
					sendAll(c)
					select {
					case sending <- struct{}{}:
					default:
					}
				}}
				f, ends := emulating(e)
				g := newGateway(t, gatewayConfig(backend, closedPort(t), f))
				check(t, g.Start(t.Context()))
				c := g.dial(t)
				<-sending
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				check(t, g.Shutdown(ctx))
				wantReset(t, c)
				if got := ends.one(t); got.reason != "the service was shut down" || e.detached.Load() != 1 {
					t.Errorf("ended %+v, detached %d times", got, e.detached.Load())
				}
			})
		})
	}
}
