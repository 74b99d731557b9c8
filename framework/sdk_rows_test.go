package framework

import (
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestChunkShared is row C25: the filters of a chain see the same memory, and
// what one puts in place of a chunk, those behind it see.
func TestChunkShared(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			var at [2][]*byte // by direction
			see := func(_ *Connection, dir Direction, chunk []byte) Verdict {
				at[dir] = append(at[dir], &chunk[0])
				return Pass
			}
			window := func(_ *Connection, dir Direction, chunk []byte) Verdict {
				at[dir] = append(at[dir], &chunk[0])
				if dir == Upstream {
					return Replace(chunk[1:])
				}
				return Pass
			}
			g := startGateway(t, gatewayConfig(backend, serve(t, echo),
				&testFilter{onData: see}, &testFilter{onData: window}, &testFilter{onData: see}))
			if got, err := exchange(g.dial(t), []byte("xyz")); err != nil || string(got) != "yz" {
				t.Errorf("got %q, %v", got, err)
			}
			g.stop(t)
			if up := at[Upstream]; len(up) != 3 || up[0] != up[1] || up[1] == up[2] {
				t.Errorf("upstream the chunks are at %v", up)
			}
			if down := at[Downstream]; len(down) != 3 || down[0] != down[1] || down[1] != down[2] {
				t.Errorf("downstream the chunks are at %v", down)
			}
		})
	}
}

// TestDetachBeforeData is row C41: data filters are told of the end of a
// connection that never carried data, whatever the end was.
func TestDetachBeforeData(t *testing.T) {
	ends := map[string]func(c *Connection) Verdict{
		"no server": func(*Connection) Verdict { return Pass },
		"denied":    func(*Connection) Verdict { return Deny("bad") },
		"closed":    func(c *Connection) Verdict { c.Close(); return Pass },
		"panic":     func(*Connection) Verdict { panic("on purpose") },
	}
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			for name, end := range ends {
				t.Run(name, func(t *testing.T) {
					var data atomic.Int64
					f := &testFilter{mask: allEvents, onData: func(*Connection, Direction, []byte) Verdict {
						data.Add(1)
						return Pass
					}}
					f.onEvent = func(ev *Event) Verdict {
						if ev.Type == ConnectTCP {
							return end(ev.Connection)
						}
						return Pass
					}
					g := startGateway(t, gatewayConfig(backend, closedPort(t), f))
					g.attempt(t)
					g.stop(t)
					if data.Load() != 0 || f.gone.Load() != 1 || f.ended.Load() != 1 {
						t.Errorf("%d chunks, detached %d times, told of %d ends", data.Load(), f.gone.Load(), f.ended.Load())
					}
				})
			}
		})
	}
}

// TestNothingBehindDetach is row C47: connections are broken off in the midst of
// their data; nothing of a connection comes behind its Detach but the end, and
// nothing at all behind FilterShutdown.
func TestNothingBehindDetach(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			const connections = 20
			var detached, late atomic.Int64
			var down atomic.Bool
			f := &testFilter{mask: AcceptedConnection | ConnectionTerminating}
			f.onEvent = func(ev *Event) Verdict {
				if down.Load() {
					late.Add(1)
				}
				if ev.Type == AcceptedConnection {
					if err := ev.Connection.AttachDataFilter(&once{detached: &detached, late: &late, down: &down}); err != nil {
						return Fail(err.Error())
					}
				}
				return Pass
			}
			f.onDetach = func() {
				if down.Load() {
					late.Add(1)
				}
			}
			f.onShutdown = func(context.Context) error { down.Store(true); return nil }
			g := newGateway(t, gatewayConfig(backend, serve(t, echo), f))
			check(t, g.Start(t.Context()))
			for range connections {
				c := g.dial(t)
				must(c.Write([]byte("x")))(t)
				must(io.ReadFull(c, make([]byte, 1)))(t)
				go func() { _, _ = io.Copy(c, strings.NewReader(strings.Repeat("x", 1<<20))) }()
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			check(t, g.Shutdown(ctx))
			if detached.Load() != connections || f.detached.Load() != 1 || f.ended.Load() != connections {
				t.Errorf("%d data filters and %d session filters were detached, %d ends told",
					detached.Load(), f.detached.Load(), f.ended.Load())
			}
			if n := late.Load(); n != 0 || !down.Load() {
				t.Errorf("%d calls came late", n)
			}
		})
	}
}

// once is a data filter that counts what comes behind its Detach.
type once struct {
	gone           bool // used on the connection's worker only
	detached, late *atomic.Int64
	down           *atomic.Bool
}

func (o *once) called() {
	if o.gone || o.down.Load() {
		o.late.Add(1)
	}
}

func (o *once) Data(*Connection, Direction, []byte) Verdict {
	o.called()
	return Pass
}

func (o *once) Detach() {
	o.called()
	o.gone = true
	o.detached.Add(1)
}

// TestShutdownWaits is row C48: Shutdown returns when every callback has, also
// one that takes its time.
func TestShutdownWaits(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			begun, goOn := make(chan struct{}), make(chan struct{})
			var done atomic.Bool
			f := &testFilter{onData: func(c *Connection, dir Direction, _ []byte) Verdict {
				work := func() error {
					close(begun)
					<-goOn
					return nil
				}
				err := c.Go(work, func(error) {
					resume(c, dir, Pass)
					done.Store(true)
				})
				if err != nil {
					return Fail(err.Error())
				}
				return Hold
			}}
			g := newGateway(t, gatewayConfig(backend, serve(t, echo), f))
			check(t, g.Start(t.Context()))
			must(g.dial(t).Write([]byte("x")))(t)
			<-begun
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			ended := make(chan error, 1)
			go func() { ended <- g.Shutdown(ctx) }()
			eventually(t, "the connection is broken off", func() bool { return f.gone.Load() == 1 })
			select {
			case err := <-ended:
				t.Errorf("Shutdown has returned before the callback: %v", err)
			default:
			}
			close(goOn)
			check(t, <-ended)
			if !done.Load() || f.ended.Load() != 1 {
				t.Errorf("the callback has ended: %t; ends told: %d", done.Load(), f.ended.Load())
			}
		})
	}
}

// TestOkToTerminate is row C44: a filter that holds the end of a stream delays the
// end of the connection until it resumes, or until the end of the service.
func TestOkToTerminate(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			for _, late := range []bool{false, true} {
				asked := make(chan *Connection, 2)
				k := &keeper{end: func(_ *keeper, c *Connection, dir Direction) Verdict {
					if dir == Upstream {
						return Pass
					}
					asked <- c
					return Hold
				}}
				var ends ends
				f := &testFilter{onEvent: func(ev *Event) Verdict {
					if ev.Type == ConnectTCP {
						if err := ev.Connection.AttachDataFilter(k); err != nil {
							return Fail(err.Error())
						}
					}
					return ends.event(ev)
				}}
				g := newGateway(t, gatewayConfig(backend, serve(t, echo), f))
				g.patience = time.Millisecond
				check(t, g.Start(t.Context()))
				client := g.dial(t)
				check(t, client.CloseWrite()) // and then the server ends its stream, too
				c := <-asked
				if late {
					ctx, cancel := context.WithCancel(t.Context())
					cancel()
					check(t, g.Shutdown(ctx))
					wantReset(t, client)
					if !g.log.has("a filter still holds a connection that has ended") || ends.one(t).outcome != Failed {
						t.Errorf("ended %+v", ends.one(t))
					}
					continue
				}
				check(t, c.Worker().Call(func() {
					if c.Ended() || c.holder() != "a" {
						t.Errorf("ended: %t; kept by %q", c.Ended(), c.holder())
					}
					resume(c, Downstream, Replace([]byte("last words")))
				}))
				if got, err := io.ReadAll(client); err != nil || string(got) != "last words" {
					t.Errorf("got %q, %v", got, err)
				}
				if e := ends.one(t); e.outcome != Passed {
					t.Errorf("ended %+v", e)
				}
				check(t, g.Shutdown(t.Context()))
			}
		})
	}
}
