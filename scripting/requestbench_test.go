package scripting

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// BenchmarkRequest sends a request through a gateway to a server that answers at once; what is allocated is the gateway's.
func BenchmarkRequest(b *testing.B) {
	const request = "GET /api/users/4711 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	server := serve(b, "tcp", "127.0.0.1:0", func(c net.Conn) {
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
				if _, err := c.Write(answer); err != nil {
					return
				}
			}
		}
	})
	for _, row := range []price{
		{"no handler", ``},
		{"on_request", `function M.on_request() end`},
		{"req.path", `function M.on_request(_, req) local p = req.path end`},
		{"a header is read", `function M.on_request(_, req) local h = req.headers:get("host") end`},
		{"a header is read and one added", `function M.on_request(_, req) req.headers:add("X-Seen", req.headers:get("host")) end`},
		{"both handlers", `function M.on_request() end function M.on_response() end`},
	} {
		b.Run(row.name, func(b *testing.B) {
			g := newHTTPGatewayTo(b, server, row.source)
			c := g.dial()
			if err := c.SetDeadline(time.Time{}); err != nil {
				b.Fatal(err)
			}
			got := make([]byte, 1024)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := io.WriteString(c, request); err != nil {
					b.Fatal(err)
				}
				for n := 0; !bytes.HasSuffix(got[:n], []byte("\r\n\r\nok")); {
					more, err := c.Read(got[n:])
					if err != nil {
						b.Fatal(err)
					}
					n += more
				}
			}
			if strings.Contains(g.log.String(), "script error") {
				b.Fatal(g.log.String())
			}
		})
	}
}
