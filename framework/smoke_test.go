package framework

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand"
	"net"
	"testing"
	"time"
)

type upper struct{ n int }

func (u *upper) FilterInit(*Firewall) (EventMask, error) { return ConnectTCP | ConnectionTerminating, nil }
func (u *upper) AttachToSession(*Session, *EventMask) (SessionFilter, error) {
	return u, nil
}
func (u *upper) FirewallEventHandler(ev *Event) Verdict {
	if ev.Type == ConnectTCP {
		if err := ev.Connection.AttachDataFilter(u); err != nil {
			panic(err)
		}
	} else {
		fmt.Println("end", ev.Connection.Outcome(), ev.Connection.Reason(), ev.Connection.Bytes(Upstream), ev.Connection.Bytes(Downstream))
	}
	return Pass
}
func (u *upper) Data(c *Connection, dir Direction, chunk []byte) Verdict {
	if dir == Upstream {
		return Replace(flip(chunk))
	}
	return Pass
}

func TestSmoke(t *testing.T) {
	ln, _ := net.Listen("tcp", "127.0.0.1:0")
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()
	for _, b := range []string{"io_uring", "epoll"} {
		t.Run(b, func(t *testing.T) {
			fw, err := New(Config{
				Service:   ServiceConfig{Backend: b, Workers: 2},
				Upstreams: []UpstreamConfig{{Name: "u", Servers: []string{ln.Addr().String()}}},
				Filters:   []FilterConfig{{Name: "up", Filter: &upper{}}},
				Listeners: []ListenerConfig{{Name: "l", Listen: "127.0.0.1:0", Upstream: "u", Filters: []string{"up"}}},
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := fw.Start(context.Background()); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				c, err := net.Dial("tcp", fw.ListenAddress("l").String())
				if err != nil {
					t.Fatal(err)
				}
				data := make([]byte, 64<<20)
				rand.New(rand.NewSource(1)).Read(data)
				go func() { c.Write(data); c.(*net.TCPConn).CloseWrite() }()
				h := sha256.New()
				start := time.Now()
				n, err := io.Copy(h, c)
				fmt.Println(n, err, time.Since(start))
				want := sha256.Sum256(flip(data))
				if n != int64(len(data)) || !bytes.Equal(h.Sum(nil), want[:]) {
					t.Error("wrong data")
				}
				c.Close()
			}
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			if err := fw.Shutdown(ctx); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func flip(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = b[i] ^ 0x55
	}
	return out
}
