package framework

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"fwx/framework/wire/coding/brzstd"
	"fwx/framework/wire/websocket"
)

// TestHTTPBodyMemory has many exchanges keep in memory what they are entitled to each: the
// sum is bounded, the newest are refused, and all is given back.
func TestHTTPBodyMemory(t *testing.T) {
	const clients, limit = 40, 1 << 20
	mask := websocket.Frame{Opcode: websocket.Binary, Final: true, Masked: true}
	message := string(mask.Append(nil, bytes.Repeat([]byte("x"), 300_000)))
	post := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n"
	decoded := &testHTTP{request: func(x *Exchange) Verdict { return passIfDone(x.DecodeBody(Upstream)) }}
	for _, test := range []struct {
		name    string
		filter  HTTPFilter
		begin   string // waits for an answer, which is 101
		text    string
		refused string
		fit     int // how many have room
	}{
		{"whole bodies", spooling(400_000, nil), "", post + "\r\n" + strings.Repeat("x", 200_000), "HTTP/1.1 503 ", 5},
		{"the disk", spooling(100, nil), "", post + "\r\n" + strings.Repeat("x", 2000), "HTTP/1.1 503 ", 8},
		{"gzip", decoded, "", post + "Content-Encoding: gzip\r\n\r\n" + gzipped(strings.Repeat("x", 1000))[:20], "HTTP/1.1 503 ", 16},
		{"zstd", decoded, "", post + "Content-Encoding: zstd\r\n\r\n" + "\x28\xb5\x2f\xfd\x00\x40\x00\x00\x00\x00\x00\x00", "HTTP/1.1 503 ", 2},
		{"br", decoded, "", post + "Content-Encoding: br\r\n\r\n" + "\x01xx", "HTTP/1.1 503 ", 2},
		{"messages", testMessages(func(*Exchange, Direction, Message) Verdict { return Pass }), webSocketRequest, message[:200_000], "\x88\x02\x03\xf5", 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(t)
			s := m.server(func(c *memoryConn, head string) {
				if strings.Contains(head, "Upgrade: websocket") {
					c.say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
				}
			})
			dir := t.TempDir()
			m.start(func(c *Config) {
				c.Service.BodyMemory = limit
				c.Codings = brzstd.Codings()
				c.Filters = []FilterConfig{{Name: "a", Class: ClassMiddle, Filter: attaching(test.filter)}}
				c.Listeners[0].Filters = []string{"a"}
				c.Listeners[0].HTTP.Spool.Dir = dir
			})
			memory := func() float64 { return m.counter(t, "fwx_http_body_memory_bytes", "0") }
			all := make([]*memoryConn, 0, clients)
			refused := 0
			for range clients {
				c := m.client()
				all = append(all, c)
				if test.begin != "" {
					if got := m.ask(c, test.begin); !strings.HasPrefix(got, "HTTP/1.1 101 ") {
						t.Fatalf("%q", got)
					}
				}
				for text := test.text; text != ""; {
					n, err := c.Send([]byte(text))
					if text = text[n:]; err != nil && n == 0 {
						t.Fatal(err)
					}
					m.settle()
				}
				if got := c.heard(); strings.HasPrefix(got, test.refused) {
					refused++
				} else if got != "" {
					t.Fatalf("%q", got)
				}
				if n := memory(); n > limit {
					t.Fatalf("%v bytes are kept", n)
				}
			}
			if refused < clients-test.fit || refused > clients-1 {
				t.Errorf("%d of %d were refused, and there is room for %d", refused, clients, test.fit)
			}
			if n := m.counter(t, metricMemory, "in"); n < float64(refused) {
				t.Errorf("%v were counted of %d", n, refused)
			}
			if memory() == 0 {
				t.Error("nothing is kept")
			}
			for _, c := range all {
				c.Close()
			}
			for _, c := range s.conns {
				c.Close()
			}
			m.pass(time.Minute)
			if n := memory(); n != 0 || m.Connections() != 0 {
				t.Errorf("%v bytes are kept in the end, of %d connections", n, m.Connections())
			}
		})
	}
}

const webSocketRequest = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
