package framework

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// stuffed writes until the receiver takes no more, and returns how much went.
func stuffed(t *testing.T, c net.Conn) int64 {
	t.Helper()
	const pause = 300 * time.Millisecond // in which a receiver that takes anything would
	var n int64
	data := random(64 << 10)
	for {
		check(t, c.SetWriteDeadline(time.Now().Add(pause)))
		k, err := c.Write(data)
		n += int64(k)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			check(t, c.SetDeadline(time.Now().Add(patience)))
			return n
		}
		check(t, err)
		if n > 1<<30 {
			t.Fatal("the sender is not stopped")
		}
	}
}

// TestBackPressure sees that a receiver that does not read stops the sender, and
// that the other direction goes on meanwhile.
func TestBackPressure(t *testing.T) {
	filters := map[string]Filter{
		"no filter": &testFilter{},
		"a filter":  &testFilter{onData: func(*Connection, Direction, []byte) Verdict { return Pass }},
	}
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			for name, f := range filters {
				t.Run(name, func(t *testing.T) {
					read := make(chan struct{})
					total := make(chan int64, 1)
					server := serve(t, func(c *net.TCPConn) {
						check := make([]byte, 1)
						_, _ = c.Write([]byte("down"))
						<-read
						n, _ := io.Copy(io.Discard, c)
						_, _ = c.Write(check)
						total <- n
					})
					config := gatewayConfig(backend, server, f)
					g := startGateway(t, config)
					c := g.dial(t)
					n := stuffed(t, c)
					if n > 64<<20 {
						t.Errorf("%d bytes were taken for a receiver that does not read", n)
					}
					down := make([]byte, 4)
					if _, err := io.ReadFull(c, down); err != nil || string(down) != "down" {
						t.Errorf("the other direction: %q, %v", down, err)
					}
					close(read)
					check(t, c.CloseWrite())
					if got := <-total; got != n {
						t.Errorf("the server got %d bytes of %d", got, n)
					}
				})
			}
		})
	}
}

// TestHeldDirection sees that a filter that holds one direction stops its
// sender, but not the other direction.
func TestHeldDirection(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			held := make(chan *Connection, 1)
			f := &testFilter{onData: func(c *Connection, dir Direction, chunk []byte) Verdict {
				if dir == Downstream || chunk[0] != 'h' {
					return Pass
				}
				held <- c
				return Hold
			}}
			down := random(4 << 20)
			server := serve(t, func(c *net.TCPConn) {
				if _, err := c.Write(down); err != nil {
					return
				}
				echo(c)
			})
			g := startGateway(t, gatewayConfig(backend, server, f))
			client := g.dial(t)
			must(client.Write([]byte("hold")))(t)
			c := <-held
			got := make([]byte, len(down))
			if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, down) {
				t.Error("the other direction does not go on", err)
			}
			if n := stuffed(t, client); n > 64<<20 {
				t.Errorf("%d bytes were taken while the direction was held", n)
			}
			check(t, c.Worker().Call(func() { resume(c, Upstream, Pass) }))
			must(io.ReadFull(client, got[:4]))(t)
			if string(got[:4]) != "hold" {
				t.Errorf("got %q", got[:4])
			}
		})
	}
}

// TestInjected sees that what a filter sends comes in order, ahead of the chunk,
// and before the end of the stream, however much waits.
func TestInjected(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			var full, behind atomic.Value
			piece := bytes.Repeat([]byte("-"), 100<<10)
			f := &testFilter{onData: func(c *Connection, dir Direction, chunk []byte) Verdict {
				if dir == Upstream {
					return Pass
				}
				if chunk[0] != 'x' {
					return Pass
				}
				if err := errors.Join(c.Send(Downstream, []byte("<")), c.Send(Downstream, nil)); err != nil {
					return Fail(err.Error())
				}
				for {
					if err := c.Send(Downstream, piece); err != nil {
						full.Store(err)
						break
					}
				}
				behind.Store(c)
				return Pass
			}}
			server := serve(t, func(c *net.TCPConn) {
				_, _ = io.Copy(io.Discard, c)
				_, _ = c.Write([]byte("x>"))
			})
			g := startGateway(t, gatewayConfig(backend, server, f))
			got, err := exchange(g.dial(t), []byte("go"))
			check(t, err)
			n := maxInjected / len(piece)
			if got[0] != '<' || string(got[len(got)-2:]) != "x>" || (len(got)-3)/len(piece) < n || (len(got)-3)%len(piece) != 0 {
				t.Errorf("got %d bytes: %.10q … %q", len(got), got, got[len(got)-2:])
			}
			if err, _ := full.Load().(error); !errors.Is(err, ErrQueueFull) {
				t.Errorf("a full queue is %v", err)
			}
			c, _ := behind.Load().(*Connection)
			check(t, c.Worker().Call(func() { err = c.Send(Downstream, piece) }))
			if !errors.Is(err, ErrTerminating) {
				t.Errorf("behind the end: %v", err)
			}
		})
	}
}

// TestInjectedWhileHeld sees that a filter may send while it holds the chunk.
func TestInjectedWhileHeld(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			f := &testFilter{onData: func(c *Connection, dir Direction, chunk []byte) Verdict {
				if dir == Downstream {
					return Pass
				}
				c.Worker().AfterFunc(time.Millisecond, func() {
					err := c.Send(Upstream, []byte("first "))
					c.Worker().AfterFunc(time.Millisecond, func() { resume(c, Upstream, Pass) })
					if err != nil {
						c.Reset()
					}
				})
				return Hold
			}}
			g := startGateway(t, gatewayConfig(backend, serve(t, echo), f))
			if got, err := exchange(g.dial(t), []byte("second")); err != nil || string(got) != "first second" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// TestSendTooEarly sees that nothing is sent before the connection stands.
func TestSendTooEarly(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			var early, late error
			f := &testFilter{onEvent: func(ev *Event) Verdict {
				err := ev.Connection.Send(Upstream, []byte("x"))
				if ev.Type == ConnectTCP {
					early = err
				} else {
					late = err
				}
				return Pass
			}}
			g := startGateway(t, gatewayConfig(backend, serve(t, echo), f))
			must(exchange(g.dial(t), nil))(t)
			g.stop(t)
			if !errors.Is(early, ErrBadContext) || !errors.Is(late, ErrTerminating) {
				t.Errorf("early %v, late %v", early, late)
			}
		})
	}
}
