package framework

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"fwx/framework/fwxtest"
)

// TestHTTPSendTimeout sees that a client that reads nothing is cut off within a quarter more
// than send_timeout, however much of what was sent to it the system has taken.
func TestHTTPSendTimeout(t *testing.T) {
	const timeout = time.Second
	const most = 30 * time.Second // on a machine that does much else; a piece at send_rate would have a minute
	body := strings.Repeat("x", 1<<20)
	server := serve(t, func(c *net.TCPConn) {
		if _, err := c.Read(make([]byte, 4096)); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
		for {
			if _, err := io.WriteString(c, body); err != nil {
				return
			}
		}
	})
	for _, secure := range []bool{false, true} {
		for _, backend := range backends {
			t.Run(fmt.Sprintf("%s, TLS %v", backend, secure), func(t *testing.T) {
				config := httpConfig(backend, server)
				config.Listeners[0].HTTP = &HTTPConfig{SendTimeout: timeout, SendRate: 1000}
				var roots *tls.Config
				if secure {
					ca := fwxtest.NewAuthority(t)
					issued := ca.Issue("a.example").Certificate
					config.Listeners[0].TLS = &ListenerTLS{Certificates: []CertificateConfig{{Certificate: &issued}}}
					roots = &tls.Config{RootCAs: ca.Pool, ServerName: "a.example"}
				}
				g := startGateway(t, config)
				dialer := net.Dialer{Control: narrow}
				c := must(dialer.DialContext(t.Context(), "tcp", g.ListenAddress("in").String()))(t)
				defer c.Close()
				if secure {
					c = tls.Client(c, roots)
				}
				_ = must(io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"))(t)
				began := time.Now()
				eventually(t, "it is cut off", func() bool { return g.log.has("send_rate") })
				if took := time.Since(began); took < timeout || took > most {
					t.Errorf("it was cut off after %v", took)
				}
			})
		}
	}
}
