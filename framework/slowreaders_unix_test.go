//go:build unix

package framework

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fwx/framework/completion"
	"fwx/framework/fwxtest"
)

// fewBuffers gives each worker so few receive buffers that a hundred connections can use
// them up.
func fewBuffers(config *Config) {
	config.OpenPort = func(o completion.Options) (*completion.Port, error) {
		o.MaxBuffers = 64
		return completion.New(o)
	}
}

// narrow makes the receive buffer of sockets small.
func narrow(_, _ string, c syscall.RawConn) (err error) {
	failed := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10) })
	return errors.Join(err, failed)
}

// pour writes until the receiver takes no more.
func pour(c net.Conn) {
	block := make([]byte, 256<<10)
	for {
		_ = c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		if _, err := c.Write(block); err != nil {
			return
		}
	}
}

// jam is a way for clients to keep what is sent to them, or to a server, from moving.
type jam struct {
	name   string
	config func(t *testing.T, c *Config)
	begin  string // what a client says first
	more   bool   // and then as much as is taken
	tls    bool
	server bool // it is the server who does not read
}

// TestNobodyWaitsForThoseWhoDoNotRead has many more connections on which nothing moves
// than there are receive buffers; others are served all the same.
func TestNobodyWaitsForThoseWhoDoNotRead(t *testing.T) {
	t.Parallel()
	const jammed = 100
	passing := attaching(&testHTTP{requestBody: func(*Exchange, []byte) Verdict { return Pass }})
	inspected := func(_ *testing.T, c *Config) {
		c.Filters = []FilterConfig{{Name: "a", Class: ClassMiddle, Filter: passing}}
		c.Listeners[0].Filters = []string{"a"}
	}
	const get, post = "GET /jam HTTP/1.1\r\nHost: a\r\n\r\n", "POST /jam HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n"
	const upgrade = "GET /upgrade HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
	for _, j := range []jam{
		{name: "downloads", begin: get},
		{name: "downloads in chunks", begin: strings.ReplaceAll(get, "jam", "chunked")},
		{name: "downloads, and more requests", begin: get, more: true},
		{name: "downloads over TLS", begin: get, tls: true},
		{name: "uploads", begin: post, more: true, server: true},
		{name: "uploads through a filter", begin: post, more: true, server: true, config: inspected},
		{name: "tunnels", begin: upgrade},
		{name: "tunnels to the server", begin: upgrade, more: true, server: true},
		{name: "protocol tcp, through a filter", begin: get, config: func(_ *testing.T, c *Config) {
			c.Listeners[0].Protocol, c.Listeners[0].HTTP = "tcp", nil
			c.Filters = []FilterConfig{{Name: "a", Class: ClassMiddle, Filter: &testFilter{onData: func(*Connection, Direction, []byte) Verdict { return Pass }}}}
			c.Listeners[0].Filters = []string{"a"}
		}},
	} {
		for _, backend := range backends {
			t.Run(j.name+" on "+backend, func(t *testing.T) {
				t.Parallel()
				j.run(t, backend, jammed)
			})
		}
	}
}

func (j *jam) run(t *testing.T, backend string, clients int) {
	t.Helper()
	var stuck atomic.Int64 // connections to the server on which nothing moves
	over := make(chan struct{})
	server := serve(t, func(c *net.TCPConn) {
		buf := make([]byte, 4096)
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		switch head := string(buf[:n]); {
		case strings.Contains(head, " /calm "):
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ncalm")
			return
		case strings.Contains(head, " /upgrade "):
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
		case strings.Contains(head, " /chunked "):
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3b9aca00\r\n")
		case !j.server:
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
		}
		if !j.server {
			pour(c)
		}
		stuck.Add(1)
		<-over
	})
	config := httpConfig(backend, server)
	config.Service.Workers = 1
	fewBuffers(&config)
	var roots *tls.Config
	if j.tls {
		ca := fwxtest.NewAuthority(t)
		issued := ca.Issue("a.example").Certificate
		config.Listeners[0].TLS = &ListenerTLS{Certificates: []CertificateConfig{{Certificate: &issued}}}
		roots = &tls.Config{RootCAs: ca.Pool, ServerName: "a.example"}
	}
	if j.config != nil {
		j.config(t, &config)
	}
	g := startGateway(t, config)
	t.Cleanup(func() { close(over) })
	dialer := net.Dialer{Control: narrow}
	dial := func() net.Conn {
		c := must(dialer.DialContext(t.Context(), "tcp", g.ListenAddress("in").String()))(t)
		t.Cleanup(func() { c.Close() })
		if roots != nil {
			return tls.Client(c, roots)
		}
		return c
	}
	for range clients {
		c := dial()
		go func() {
			_, _ = io.WriteString(c, j.begin)
			if j.more {
				pour(c)
			}
		}()
	}
	eventually(t, "nothing moves for all of them", func() bool { return stuck.Load() == int64(clients) })
	for range 10 {
		c := dial()
		check(t, c.SetDeadline(time.Now().Add(10*time.Second)))
		res, text := ask(t, c, "GET /calm HTTP/1.1\r\nHost: a\r\n\r\n")
		if res.StatusCode != http.StatusOK || text != "calm" {
			t.Fatalf("somebody else gets %d %q", res.StatusCode, text)
		}
		c.Close()
	}
}
