package framework

import (
	"context"
	"io"
	"math/rand"
	"net"
	"sync"
	"testing"
	"time"
)

// TestChurn opens and closes many connections at random points, some by a
// reset, through filters that hold, and sees that nothing of them is left.
func TestChurn(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			const connections, atOnce = 2000, 50
			before := reserved(t)
			server := serve(t, func(c *net.TCPConn) {
				if c.RemoteAddr().(*net.TCPAddr).Port%7 == 0 {
					_ = c.SetLinger(0)
					return
				}
				echo(c)
			})
			f := &testFilter{mask: allEvents}
			f.onEvent = func(ev *Event) Verdict {
				if ev.Connection.ID()%3 == 0 {
					ev.Connection.Worker().AfterFunc(time.Millisecond, func() { _ = ev.Resume(Pass) }) // it is held
					return Hold
				}
				return Pass
			}
			f.onData = func(c *Connection, dir Direction, _ []byte) Verdict {
				switch c.ID() % 5 {
				case 0:
					if err := c.Go(func() error { return nil }, func(error) { resume(c, dir, Pass) }); err != nil {
						return Fail(err.Error())
					}
					return Hold
				case 1:
					_ = c.Send(1-dir, []byte("more")) // or it has ended
				}
				return Pass
			}
			g := startGateway(t, gatewayConfig(backend, server, f))
			var clients sync.WaitGroup
			next := make(chan int64)
			for range atOnce {
				clients.Go(func() {
					for seed := range next {
						misbehave(t.Context(), g.ListenAddress("in").String(), rand.New(rand.NewSource(seed)))
					}
				})
			}
			for i := range int64(connections) {
				next <- i
			}
			close(next)
			clients.Wait()
			eventually(t, "all connections end", func() bool { return g.Connections() == 0 })
			g.stop(t)
			if f.attached.Load() != f.detached.Load() {
				t.Errorf("attached to %d sessions, detached from %d", f.attached.Load(), f.detached.Load())
			}
			if f.ended.Load() != int64(g.lastID.Load()) {
				t.Errorf("the end of %d connections was told, of %d", f.ended.Load(), g.lastID.Load())
			}
			if after := reserved(t); after > before {
				t.Errorf("buffers were not given back: %d kB of address space is still reserved", after-before)
			}
		})
	}
}

// misbehave is a client that ends its connection at a random point.
func misbehave(ctx context.Context, address string, random *rand.Rand) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return // refused
	}
	defer c.Close()
	tcp := c.(*net.TCPConn)
	_ = c.SetDeadline(time.Now().Add(patience)) // it is open
	if random.Intn(3) == 0 {
		_ = tcp.SetLinger(0)
	}
	for range random.Intn(4) {
		n := 1 + random.Intn(40_000)
		if _, err := c.Write(make([]byte, n)); err != nil {
			return
		}
		if random.Intn(2) == 0 {
			_, _ = io.ReadFull(c, make([]byte, 1+random.Intn(n)))
		}
	}
	if random.Intn(2) == 0 {
		_ = tcp.CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	}
}

// TestReserved sees that reserved would find a buffer that is kept.
func TestReserved(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			before := reserved(t)
			held := make(chan *Connection, 1)
			f := &testFilter{onData: func(c *Connection, _ Direction, _ []byte) Verdict {
				held <- c
				return Hold
			}}
			g := startGateway(t, gatewayConfig(backend, serve(t, echo), f))
			must(g.dial(t).Write([]byte("x")))(t)
			c := <-held
			if reserved(t) <= before {
				t.Error("nothing is reserved")
			}
			check(t, c.Worker().Call(func() { resume(c, Upstream, Deny("")) }))
		})
	}
}
