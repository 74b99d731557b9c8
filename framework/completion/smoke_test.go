package completion

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

type echo struct {
	s          *Socket
	recv, send *Overlapped
	b          *Buffer
}

func (e *echo) CompleteAsyncIO(ok bool, n int, err error, o *Overlapped, _ any) {
	if !ok || o == e.recv && n == 0 {
		if !e.s.Closed() {
			_ = e.s.Close()
		}
		return
	}
	if o == e.recv {
		e.b = o.TakeBuffer()
		if err := e.s.Send(e.send, e.b.Bytes()); err != nil {
			panic(err)
		}
		return
	}
	e.b.Release()
	e.b = nil
	if err := e.s.Recv(e.recv); err != nil {
		panic(err)
	}
}

func startEcho(tb testing.TB, w *Worker) Address {
	var addr Address
	_ = w.Call(func() {
		l, err := w.Listen(Address{AddrPort: mustAddr("127.0.0.1:0")})
		if err != nil {
			panic(err)
		}
		addr = l.Address()
		o := w.CreateOverlapped()
		_ = o.SetNotificationInterface(CompletionFunc(func(ok bool, _ int, err error, o *Overlapped, _ any) {
			if !ok {
				return
			}
			s, err := w.Attach(o.TakeValue().(Accepted))
			if err != nil {
				panic(err)
			}
			e := &echo{s: s, recv: w.CreateOverlapped(), send: w.CreateOverlapped()}
			_ = e.recv.SetNotificationInterface(e, nil)
			_ = e.send.SetNotificationInterface(e, nil)
			if err := s.Recv(e.recv); err != nil {
				panic(err)
			}
			if err := l.Accept(o); err != nil {
				panic(err)
			}
		}), nil)
		if err := l.Accept(o); err != nil {
			panic(err)
		}
	})
	return addr
}

func mustAddr(s string) (a netip.AddrPort) { x, _ := ParseAddress(s); return x.AddrPort }

func TestSmoke(t *testing.T) {
	for _, b := range []string{"io_uring", "epoll"} {
		t.Run(b, func(t *testing.T) {
			p, err := New(Options{Workers: 1, Backend: b})
			if err != nil {
				t.Fatal(err)
			}
			fmt.Println(p.Info())
			addr := startEcho(t, p.workers[0])
			for range 10 {
				c, err := net.Dial("tcp", addr.String())
				if err != nil {
					t.Fatal(err)
				}
				buf := make([]byte, 5)
				for range 100 {
					c.Write([]byte("hello"))
					if _, err := c.Read(buf); err != nil {
						t.Fatal(err)
					}
				}
				c.Close()
			}
			w := p.workers[0]
			name := filepath.Join(t.TempDir(), "f")
			done := make(chan error, 1)
			w.Call(func() {
				o := w.CreateOverlapped()
				o.SetNotificationInterface(CompletionFunc(func(ok bool, _ int, err error, o *Overlapped, _ any) {
					if !ok {
						done <- err
						return
					}
					h := o.TakeValue().(*Handle)
					o.SetNotificationInterface(CompletionFunc(func(ok bool, n int, err error, o *Overlapped, _ any) {
						h.Close()
						done <- err
					}), nil)
					ov, _ := o.GetOverlapped()
					ov.Offset = 3
					if err := h.WriteFile(ov, []byte("hello")); err != nil {
						done <- err
					}
				}), nil)
				if err := w.OpenFile(o, nil, name, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
					done <- err
				}
			})
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			data, _ := os.ReadFile(name)
			fmt.Printf("%q\n", data)
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			if err := p.Shutdown(ctx); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func BenchmarkEcho(b *testing.B) {
	for _, be := range []string{"io_uring", "epoll"} {
		b.Run(be, func(b *testing.B) {
			p, err := New(Options{Workers: 1, Backend: be})
			if err != nil {
				b.Fatal(err)
			}
			addr := startEcho(b, p.workers[0])
			c, err := net.Dial("tcp", addr.String())
			if err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, 64)
			b.ReportAllocs()
			for b.Loop() {
				c.Write(buf)
				c.Read(buf)
			}
			c.Close()
			p.Shutdown(context.Background())
		})
	}
}
