package framework

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fwx/framework/fwxtest"
)

// tlsConfig is gatewayConfig with a listener that terminates TLS with certificates.
func tlsConfig(backend, server string, certificates []fwxtest.Issued, filters ...Filter) Config {
	config := gatewayConfig(backend, server, filters...)
	config.Listeners[0].TLS = &ListenerTLS{}
	for _, c := range certificates {
		config.Listeners[0].TLS.Certificates = append(config.Listeners[0].TLS.Certificates, CertificateConfig{Cert: c.CertFile, Key: c.KeyFile})
	}
	return config
}

// dialTLS connects to the listener and makes the handshake.
func (g *gateway) dialTLS(t *testing.T, config *tls.Config) (*tls.Conn, error) {
	t.Helper()
	c := tls.Client(g.dial(t), config)
	return c, c.HandshakeContext(t.Context())
}

// counter returns what a metric of a result has counted.
func (g *gateway) counter(t *testing.T, name, result string) (n float64) {
	t.Helper()
	for _, f := range g.Measure(t.Context()) {
		if f.Name != name {
			continue
		}
		for _, s := range f.Samples {
			for _, l := range s.Labels {
				if l.Value == result {
					n += s.Value
				}
			}
		}
	}
	return n
}

func TestTLS(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	certificate := ca.Issue("a.example")
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			var seen atomic.Int64
			f := &testFilter{mask: ConnectTCP, onData: func(_ *Connection, dir Direction, chunk []byte) Verdict {
				if dir == Upstream {
					seen.Add(int64(len(chunk)))
				}
				return Pass
			}}
			g := startGateway(t, tlsConfig(backend, serve(t, echo), []fwxtest.Issued{certificate}, f))
			large := make([]byte, 3<<20)
			_, _ = rand.Read(large)
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				for _, data := range [][]byte{[]byte("x"), large} {
					seen.Store(0)
					c := must(g.dialTLS(t, &tls.Config{ServerName: "a.example", RootCAs: ca.Pool, MaxVersion: version}))(t)
					got, err := exchange(c, data)
					if err != nil || !bytes.Equal(got, data) || seen.Load() != int64(len(data)) {
						t.Fatalf("%s: %d bytes of %d came back, a filter has seen %d: %v", tls.VersionName(version), len(got), len(data), seen.Load(), err)
					}
					if c.ConnectionState().Version != version {
						t.Error(tls.VersionName(c.ConnectionState().Version))
					}
				}
			}
			if n := g.counter(t, "fwx_tls_handshakes_total", "full"); n != 4 {
				t.Errorf("%v handshakes were counted", n)
			}
			for i, w := range g.port.Workers() {
				check(t, w.Call(func() {
					if h := &g.live[i].handshakes; h.making != 0 || h.waiting != 0 || h.oldest != nil {
						t.Errorf("worker %d still has %d handshakes, and %d that wait", i, h.making, h.waiting)
					}
				}))
			}
		})
	}
}

// pieces is a connection that sends a byte at a time.
type pieces struct{ net.Conn }

func (p pieces) Write(b []byte) (int, error) {
	for i := range b {
		if n, err := p.Conn.Write(b[i : i+1]); err != nil {
			return i + n, err
		}
	}
	return len(b), nil
}

func TestTLSByteAtATime(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			g := startGateway(t, tlsConfig(backend, serve(t, echo), []fwxtest.Issued{ca.Issue("a.example")}))
			conn := g.dial(t)
			check(t, conn.SetNoDelay(true))
			c := tls.Client(pieces{conn}, &tls.Config{ServerName: "a.example", RootCAs: ca.Pool})
			data := bytes.Repeat([]byte("piece by piece "), 40)
			got, err := exchange(c, data)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes of %d: %v", len(got), len(data), err)
			}
		})
	}
}

func TestTLSMinVersion(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	config := tlsConfig("auto", serve(t, echo), []fwxtest.Issued{ca.Issue("a.example")})
	config.Listeners[0].TLS.MinVersion = "1.3"
	g := startGateway(t, config)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		_, err := g.dialTLS(t, &tls.Config{ServerName: "a.example", RootCAs: ca.Pool, MaxVersion: version})
		if (err == nil) != (version == tls.VersionTLS13) {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
}

// largeALPN makes a ClientHello longer than a record of a sane client is.
func largeALPN() (protocols []string) {
	for i := range 60 {
		protocols = append(protocols, fmt.Sprintf("a-protocol-with-a-long-name-%030d", i))
	}
	return protocols
}

// A ClientHello of several KiB, in many records, is understood, and answered.
func TestTLSHelloInRecords(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	g := startGateway(t, tlsConfig("auto", serve(t, echo), []fwxtest.Issued{ca.Issue("a.example")}))
	conn := &helloCutter{Conn: g.dial(t)}
	c := tls.Client(conn, &tls.Config{ServerName: "a.example", RootCAs: ca.Pool, NextProtos: largeALPN()})
	got, err := exchange(c, []byte("x"))
	if err != nil || string(got) != "x" || conn.first < 3<<10 {
		t.Errorf("%q, a hello of %d bytes: %v", got, conn.first, err)
	}
}

// helloCutter sends what is written first, the record of the ClientHello, as records of
// 200 bytes.
type helloCutter struct {
	net.Conn
	first int // its length
}

func (c *helloCutter) Write(b []byte) (int, error) {
	if c.first > 0 {
		return c.Conn.Write(b)
	}
	const head, piece = 5, 200
	c.first = len(b)
	var out []byte
	for part := range slices.Chunk(b[head:], piece) {
		out = append(append(out, b[0], b[1], b[2], 0, byte(len(part))), part...)
	}
	if _, err := c.Conn.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}

func TestTLSNames(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	certificates := []fwxtest.Issued{ca.Issue("a.example"), ca.Issue("b.example", "*.c.example")}
	g := startGateway(t, tlsConfig("auto", serve(t, echo), certificates))
	for name, want := range map[string]string{
		"a.example": "a.example", "b.example": "b.example", "x.c.example": "b.example", "unknown.example": "a.example", "": "a.example",
	} {
		c := must(g.dialTLS(t, &tls.Config{ServerName: name, InsecureSkipVerify: true}))(t) //nolint:gosec // which certificate it is, is the question
		if got := c.ConnectionState().PeerCertificates[0].Subject.CommonName; got != want {
			t.Errorf("%q is shown %q", name, got)
		}
	}
}

func TestTLSClientCertificates(t *testing.T) {
	ca, other := fwxtest.NewAuthority(t), fwxtest.NewAuthority(t)
	known, stranger, expired := ca.Issue("alice"), other.Issue("mallory"), ca.IssueUntil(time.Now().Add(-time.Minute), "bob")
	for want, accepted := range map[string][3]bool{ // none, stranger, expired
		"required": {}, "optional": {true},
	} {
		t.Run(want, func(t *testing.T) {
			subjects := make(chan string, 10)
			f := &testFilter{mask: ConnectTCP, onEvent: func(ev *Event) Verdict {
				if c := ev.Connection.TLS().ClientCertificate; c != nil {
					subjects <- c.Subject.CommonName
				}
				return Pass
			}}
			config := tlsConfig("auto", serve(t, echo), []fwxtest.Issued{ca.Issue("a.example")}, f)
			config.Listeners[0].TLS.ClientCA, config.Listeners[0].TLS.ClientCertificate = ca.File, want
			g := startGateway(t, config)
			try := func(certificates ...tls.Certificate) error {
				c, err := g.dialTLS(t, &tls.Config{
					ServerName: "a.example", RootCAs: ca.Pool,
					GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
						return &append(certificates, tls.Certificate{})[0], nil
					},
				})
				if err == nil {
					_, err = exchange(c, []byte("x"))
				}
				return err
			}
			if err := try(known.Certificate); err != nil || <-subjects != "alice" {
				t.Errorf("alice is refused: %v", err)
			}
			for i, err := range []error{try(), try(stranger.Certificate), try(expired.Certificate)} {
				if (err == nil) != accepted[i] {
					t.Errorf("case %d: %v", i, err)
				}
			}
			eventually(t, "the log says why", func() bool { return g.log.has("unknown authority") && g.log.has("expired") })
		})
	}
}

func TestTLSResumption(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	certificate := ca.Issue("a.example")
	server := serve(t, echo)
	config := tlsConfig("auto", server, []fwxtest.Issued{certificate})
	g := startGateway(t, config)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client := &tls.Config{ServerName: "a.example", RootCAs: ca.Pool, ClientSessionCache: tls.NewLRUClientSessionCache(4), MaxVersion: version}
		for i := range 4 { // on both workers
			if i == 2 {
				check(t, g.Reload(t.Context(), config))
			}
			c := must(g.dialTLS(t, client))(t)
			must(exchange(c, []byte("x")))(t)
			if got := c.ConnectionState().DidResume; got != (i > 0) {
				t.Errorf("%s, connection %d: resumed %t", tls.VersionName(version), i, got)
			}
		}
	}
	if n := g.counter(t, "fwx_tls_handshakes_total", "resumed"); n != 6 {
		t.Errorf("%v resumed handshakes were counted", n)
	}
}

// oneSession is a cache of sessions that keeps the first one.
type oneSession struct{ kept *tls.ClientSessionState }

func (c *oneSession) Get(string) (*tls.ClientSessionState, bool) { return c.kept, c.kept != nil }

func (c *oneSession) Put(_ string, s *tls.ClientSessionState) {
	if c.kept == nil {
		c.kept = s
	}
}

// A ticket opens its session until the third key after its own, whatever reloads there are
// meanwhile, refused ones too.
func TestTLSTicketRotation(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	config := tlsConfig("auto", serve(t, echo), []fwxtest.Issued{ca.Issue("a.example")})
	g := startGateway(t, config)
	bad := config
	bad.Service.Workers++
	resumes := func(cache tls.ClientSessionCache) bool {
		t.Helper()
		c := must(g.dialTLS(t, &tls.Config{ServerName: "a.example", RootCAs: ca.Pool, ClientSessionCache: cache}))(t)
		must(exchange(c, []byte("x")))(t)
		return c.ConnectionState().DidResume
	}
	const keys = 3 // that there are at a time
	old := &oneSession{}
	resumes(old)
	for i := 1; i <= keys; i++ {
		g.current.Load().listenerTLSOf("in").ExpireTicketKey()
		if err := g.Reload(t.Context(), bad); err == nil {
			t.Error("the reload is not refused")
		}
		if got := resumes(old); got != (i < keys) {
			t.Errorf("after %d new keys: resumed %t", i, got)
		}
		fresh := &oneSession{}
		if resumes(fresh) || !resumes(fresh) {
			t.Errorf("after %d new keys a new session is not resumed, or an unknown one is", i)
		}
	}
}

func TestTLSCertificateReload(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	certificate, next := ca.Issue("a.example"), ca.Issue("a.example")
	config := tlsConfig("auto", serve(t, echo), []fwxtest.Issued{certificate})
	g := startGateway(t, config)
	shown := func() []byte {
		t.Helper()
		c := must(g.dialTLS(t, &tls.Config{ServerName: "a.example", RootCAs: ca.Pool}))(t)
		must(exchange(c, []byte("x")))(t)
		return c.ConnectionState().PeerCertificates[0].Raw
	}
	reload := func(want fwxtest.Issued) {
		t.Helper()
		check(t, g.Reload(t.Context(), config))
		if !bytes.Equal(shown(), want.Certificate.Certificate[0]) {
			t.Error("another certificate is shown")
		}
	}
	copyFile := func(from, to string) {
		t.Helper()
		check(t, os.WriteFile(to, must(os.ReadFile(from))(t), 0o600))
	}
	reload(certificate)
	copyFile(next.CertFile, certificate.CertFile) // its key is still the old one
	reload(certificate)
	if !g.log.has("could not be loaded again") || !g.log.has("does not match") {
		t.Error("the log does not say so")
	}
	if len(g.Files()) != 2 {
		t.Errorf("%d files are watched", len(g.Files()))
	}
	copyFile(next.KeyFile, certificate.KeyFile)
	reload(next)
	if !g.log.has("certificates of listener in") {
		t.Error("the log does not tell of the new one")
	}
	check(t, os.Remove(certificate.KeyFile))
	reload(next)
	if g.counter(t, metricExpiry, "in") == 0 {
		t.Error("it is not shown when it expires")
	}
}

func TestTLSNeverFinished(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	hello := &bytes.Buffer{}
	_ = tls.Client(onlyWrites{hello}, &tls.Config{ServerName: "a.example"}).HandshakeContext(t.Context()) // nobody answers
	for name, c := range map[string]struct {
		sent []byte
		says string
	}{
		"nothing":          {nil, "no ClientHello"},
		"half a hello":     {hello.Bytes()[:hello.Len()/2], "no ClientHello"},
		"only a hello":     {hello.Bytes(), "was not done within"},
		"HTTP":             {[]byte("GET / HTTP/1.1\r\n\r\n"), "does not speak TLS"},
		"SSL 2.0":          {[]byte{0x80, 0x2e, 1, 3, 1, 0, 0x15}, "SSL 2.0"},
		"a hello too long": {[]byte{22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff}, "more than 16384"},
	} {
		t.Run(name, func(t *testing.T) {
			config := tlsConfig("auto", serve(t, echo), []fwxtest.Issued{ca.Issue("a.example")})
			config.Listeners[0].TLS.HandshakeTimeout = 100 * time.Millisecond
			g := startGateway(t, config)
			conn := g.dial(t)
			must(conn.Write(c.sent))(t)
			if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection goes on")
			}
			eventually(t, "the log says "+c.says, func() bool { return g.log.has(c.says) })
			eventually(t, "the connection is gone", func() bool { return g.Connections() == 0 })
			if n := g.counter(t, "fwx_tls_handshakes_total", "failed"); n != 1 {
				t.Errorf("%v failures were counted", n)
			}
		})
	}
}

// onlyWrites is a net.Conn on which nothing arrives.
type onlyWrites struct{ io.Writer }

func (onlyWrites) Read([]byte) (int, error)         { return 0, io.EOF }
func (onlyWrites) Close() error                     { return nil }
func (onlyWrites) LocalAddr() net.Addr              { return nil }
func (onlyWrites) RemoteAddr() net.Addr             { return nil }
func (onlyWrites) SetDeadline(time.Time) error      { return nil }
func (onlyWrites) SetReadDeadline(time.Time) error  { return nil }
func (onlyWrites) SetWriteDeadline(time.Time) error { return nil }

// TestTLSTruncated cuts the client's stream off: the server must not take it for whole.
func TestTLSTruncated(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			ends := make(chan error, 1)
			server := serve(t, func(c *net.TCPConn) {
				_, err := io.ReadAll(c)
				ends <- err
			})
			g := startGateway(t, tlsConfig(backend, server, []fwxtest.Issued{ca.Issue("a.example")}))
			conn := g.dial(t)
			c := tls.Client(conn, &tls.Config{ServerName: "a.example", RootCAs: ca.Pool})
			must(c.Write([]byte("half of it")))(t)
			check(t, conn.CloseWrite())
			if err := <-ends; !isReset(err) {
				t.Errorf("the server sees %v", err)
			}
		})
	}
}

// TestTLSManyHandshakes has more handshakes than a worker makes at a time.
func TestTLSManyHandshakes(t *testing.T) {
	var h handshakeLimiter
	connections := make([]*Connection, maxHandshakes+2)
	for i := range connections {
		connections[i] = &Connection{handshake: &handshake{}}
		if entered := h.enter(connections[i]); entered != (i < maxHandshakes) || connections[i].handshake.turn == handshakeQueued == entered {
			t.Fatalf("connection %d: %t", i, entered)
		}
	}
	if len(h.queue) != 2 {
		t.Errorf("%d wait", len(h.queue))
	}
}

// TestTLSOnlyHellos has more clients begin a handshake and not answer than a worker makes
// at a time: others do not wait for them. The oldest end when there are too many.
func TestTLSOnlyHellos(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	hello := &bytes.Buffer{}
	_ = tls.Client(onlyWrites{hello}, &tls.Config{ServerName: "a.example"}).HandshakeContext(t.Context()) // nobody answers
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			config := tlsConfig(backend, serve(t, echo), []fwxtest.Issued{ca.Issue("a.example")})
			config.Service.Workers = 1
			config.Listeners[0].TLS.HandshakeTimeout = 100 * patience
			g := startGateway(t, config)
			on := func(f func(h *handshakeLimiter)) {
				check(t, g.Port().Workers()[0].Call(func() { f(&g.live[0].handshakes) }))
			}
			clients := make([]net.Conn, maxHandshakes+100)
			for i := range clients {
				clients[i] = g.dial(t)
				must(clients[i].Write(hello.Bytes()))(t)
				must(io.ReadFull(clients[i], make([]byte, 1)))(t) // it has been answered
			}
			on(func(h *handshakeLimiter) {
				if h.waiting != len(clients) || h.making != 0 || len(h.queue) != 0 {
					t.Errorf("%d wait for their clients, %d are made, %d wait for their turn", h.waiting, h.making, len(h.queue))
				}
			})
			conn := must(g.dialTLS(t, &tls.Config{ServerName: "a.example", RootCAs: ca.Pool}))(t)
			must(conn.Write([]byte("x")))(t)
			must(io.ReadFull(conn, make([]byte, 1)))(t)

			on(func(h *handshakeLimiter) { h.waiting += maxWaitingHandshakes - len(clients) }) // as if there were more
			late := g.dial(t)
			must(late.Write(hello.Bytes()))(t)
			eventually(t, "the oldest has ended", func() bool { return g.log.has("has waited longest") })
			if _, err := io.Copy(io.Discard, clients[0]); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("it is not the oldest that has ended")
			}
			on(func(h *handshakeLimiter) { h.waiting -= maxWaitingHandshakes - len(clients) })
			for _, c := range append(clients, late) {
				c.Close()
			}
			eventually(t, "nothing is left", func() (none bool) {
				on(func(h *handshakeLimiter) { none = h.waiting == 0 && h.oldest == nil && h.youngest == nil })
				return none
			})
		})
	}
}

// tlsServer runs a TLS server that echoes, and returns its address.
func tlsServer(t *testing.T, config *tls.Config) string {
	t.Helper()
	return serveOn(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
		s := tls.Server(c, config)
		defer s.Close()
		_ = echoOn(s)
	})
}

func TestTLSToServer(t *testing.T) {
	ca, other := fwxtest.NewAuthority(t), fwxtest.NewAuthority(t)
	good, expired := ca.Issue("s.example", "127.0.0.1"), ca.IssueUntil(time.Now().Add(-time.Minute), "s.example")
	alice := ca.Issue("alice")
	plain := serve(t, func(c *net.TCPConn) { _, _ = c.Write([]byte("220 hello\r\n")) })
	for name, c := range map[string]struct {
		server   *tls.Config
		settings UpstreamTLS
		says     string // empty: it works
	}{
		"by its address":   {&tls.Config{Certificates: []tls.Certificate{good.Certificate}}, UpstreamTLS{CA: ca.File}, ""},
		"by a name":        {&tls.Config{Certificates: []tls.Certificate{good.Certificate}}, UpstreamTLS{CA: ca.File, ServerName: "s.example"}, ""},
		"another name":     {&tls.Config{Certificates: []tls.Certificate{good.Certificate}}, UpstreamTLS{CA: ca.File, ServerName: "t.example"}, "not t.example"},
		"unknown issuer":   {&tls.Config{Certificates: []tls.Certificate{good.Certificate}}, UpstreamTLS{CA: other.File}, "unknown authority"},
		"expired":          {&tls.Config{Certificates: []tls.Certificate{expired.Certificate}}, UpstreamTLS{CA: ca.File, ServerName: "s.example"}, "expired"},
		"not verified":     {&tls.Config{Certificates: []tls.Certificate{expired.Certificate}}, UpstreamTLS{InsecureSkipVerify: true}, ""},
		"our certificate":  {&tls.Config{Certificates: []tls.Certificate{good.Certificate}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool}, UpstreamTLS{CA: ca.File, Cert: alice.CertFile, Key: alice.KeyFile}, ""},
		"old versions":     {&tls.Config{Certificates: []tls.Certificate{good.Certificate}, MaxVersion: tls.VersionTLS12}, UpstreamTLS{CA: ca.File, MinVersion: "1.3"}, "protocol version"}, //nolint:gosec // an old server
		"no TLS":           {nil, UpstreamTLS{CA: ca.File, ServerName: "s.example"}, "does not speak TLS"},
		"no common ALPN":   {&tls.Config{Certificates: []tls.Certificate{good.Certificate}, NextProtos: []string{"x"}}, UpstreamTLS{CA: ca.File, ALPN: []string{"y"}}, "no application protocol"},
		"TLS 1.2":          {&tls.Config{Certificates: []tls.Certificate{good.Certificate}, MaxVersion: tls.VersionTLS12}, UpstreamTLS{CA: ca.File}, ""}, //nolint:gosec // an old server
		"a server's reset": {&tls.Config{GetConfigForClient: func(i *tls.ClientHelloInfo) (*tls.Config, error) { i.Conn.Close(); return nil, io.EOF }}, UpstreamTLS{CA: ca.File}, "TLS handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS == "windows" && name == "no TLS" {
				t.Skip("a reset overtakes the answer before it")
			}
			server := plain
			if c.server != nil {
				server = tlsServer(t, c.server)
			}
			config := gatewayConfig("auto", server)
			config.Upstreams[0].TLS = &c.settings
			g := startGateway(t, config)
			data := bytes.Repeat([]byte("to the server "), 10_000)
			var got []byte
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", g.ListenAddress("in").String())
			if err == nil { // else it was reset at once
				defer conn.Close()
				check(t, conn.SetDeadline(time.Now().Add(patience)))
				got, err = exchange(conn.(*net.TCPConn), data)
			}
			if c.says == "" {
				if err != nil || !bytes.Equal(got, data) || g.counter(t, "fwx_tls_upstream_handshakes_total", "full") != 1 {
					t.Errorf("%d bytes of %d: %v", len(got), len(data), err)
				}
				return
			}
			eventually(t, "the log says "+c.says, func() bool { return g.log.has(c.says) })
			if err == nil && len(got) > 0 || g.counter(t, "fwx_tls_upstream_handshakes_total", "failed") != 1 {
				t.Errorf("the client gets %d bytes", len(got))
			}
		})
	}
}

// TestTLSBothSides terminates TLS and speaks it with the second server, because the first
// has a bad certificate, on each backend.
func TestTLSBothSides(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	bad := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{fwxtest.NewAuthority(t).Issue("127.0.0.1").Certificate}})
	good := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue("127.0.0.1").Certificate}})
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			config := tlsConfig(backend, bad, []fwxtest.Issued{ca.Issue("a.example")})
			config.Upstreams[0].Servers = []string{bad, good}
			config.Upstreams[0].TLS = &UpstreamTLS{CA: ca.File}
			g := startGateway(t, config)
			data := make([]byte, 1<<20)
			_, _ = rand.Read(data)
			for range 3 {
				c := must(g.dialTLS(t, &tls.Config{ServerName: "a.example", RootCAs: ca.Pool}))(t)
				if got, err := exchange(c, data); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes of %d: %v", len(got), len(data), err)
				}
			}
		})
	}
}

func TestTLSPassThrough(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	serverFor := func(name string) string {
		return tlsServer(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue(name).Certificate}})
	}
	plain := serve(t, echo)
	held := make(chan *Event, 1)
	f := &testFilter{mask: ClientHello | ConnectionTerminating, onEvent: func(ev *Event) Verdict {
		if ev.Type != ClientHello {
			return Pass
		}
		info := ev.Connection.TLS()
		if info.Terminated || len(info.Fingerprint()) != 36 || info.Hello.ALPN[0] != "x" {
			return Fail("what is known of the hello is wrong")
		}
		switch info.Hello.ServerName {
		case "b.example":
			if ev.Connection.SetUpstream("b") != nil {
				return Fail("it cannot be chosen")
			}
		case "denied.example":
			return Deny("not today")
		case "here.example":
			if ev.Connection.SetTLSMode(TLSTerminate) != nil || ev.Connection.SetUpstream("plain") != nil {
				return Fail("it cannot be terminated")
			}
		case "later.example":
			held <- ev
			return Hold
		}
		return Pass
	}}
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			config := tlsConfig(backend, serverFor("a.example"), []fwxtest.Issued{ca.Issue("here.example")}, f)
			config.Listeners[0].TLS.Mode = TLSPassThrough
			config.Upstreams = append(config.Upstreams,
				UpstreamConfig{Name: "b", Servers: []string{serverFor("b.example")}}, UpstreamConfig{Name: "plain", Servers: []string{plain}},
				UpstreamConfig{Name: "later", Servers: []string{serverFor("later.example")}})
			g := startGateway(t, config)
			data := make([]byte, 1<<20)
			_, _ = rand.Read(data)
			try := func(name string) error {
				c, err := g.dialTLS(t, &tls.Config{ServerName: name, RootCAs: ca.Pool, NextProtos: []string{"x"}})
				if err != nil {
					return err
				}
				got, err := exchange(c, data)
				if err == nil && !bytes.Equal(got, data) {
					err = io.ErrShortBuffer
				}
				return err
			}
			go func() {
				ev := <-held
				_ = ev.Connection.Worker().Post(func() {
					if ev.Connection.SetUpstream("later") != nil || ev.Resume(Pass) != nil {
						ev.Connection.Reset()
					}
				})
			}()
			for _, name := range []string{"a.example", "b.example", "here.example", "later.example"} {
				if err := try(name); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			if err := try("denied.example"); err == nil || !strings.Contains(err.Error(), "access denied") {
				t.Errorf("the denied one sees %v", err)
			}
			eventually(t, "the denial is logged", func() bool { return g.log.has("not today") })
			if passed, full := g.counter(t, "fwx_tls_handshakes_total", "passed"), g.counter(t, "fwx_tls_handshakes_total", "full"); passed != 3 || full != 1 {
				t.Errorf("%v were passed through, %v terminated", passed, full)
			}
		})
	}
}

func TestTLSContext(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	answers := make(chan error, 4)
	f := &testFilter{mask: ConnectTCP | ClientHello, onEvent: func(ev *Event) Verdict {
		c := ev.Connection
		if ev.Type == ClientHello {
			var unknown *UnknownNameError
			if !errors.As(c.SetUpstream("nowhere"), &unknown) || !errors.As(c.SetTLSMode("maybe"), &unknown) {
				return Fail("an unknown name is taken")
			}
			answers <- c.SetTLSMode(TLSTerminate)
			return Pass
		}
		answers <- c.SetTLSMode(TLSTerminate)
		answers <- c.SetUpstream("out")
		return Pass
	}}
	config := tlsConfig("auto", tlsServer(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue("a.example").Certificate}}), nil, f)
	config.Listeners[0].TLS.Mode = TLSPassThrough
	g := startGateway(t, config)
	c := must(g.dialTLS(t, &tls.Config{ServerName: "a.example", RootCAs: ca.Pool}))(t)
	must(exchange(c, []byte("x")))(t)
	for i, want := range []error{ErrNoCertificate, ErrBadContext, ErrBadContext} {
		if err := <-answers; !errors.Is(err, want) {
			t.Errorf("answer %d: %v, want %v", i, err, want)
		}
	}
}

// TestTLSShutdown ends the service in the midst of handshakes.
func TestTLSShutdown(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			silent := serve(t, func(c *net.TCPConn) { _, _ = io.ReadAll(c) }) // answers no hello
			config := tlsConfig(backend, silent, []fwxtest.Issued{ca.Issue("a.example")})
			config.Upstreams[0].TLS = &UpstreamTLS{InsecureSkipVerify: true}
			g := newGateway(t, config)
			check(t, g.Start(t.Context()))
			must(g.dial(t).Write([]byte{22, 3}))(t) // a hello that does not end
			hello := &bytes.Buffer{}
			_ = tls.Client(onlyWrites{hello}, &tls.Config{ServerName: "a.example"}).HandshakeContext(t.Context()) // nobody answers
			must(g.dial(t).Write(hello.Bytes()))(t)                                                               // a handshake that does not end
			must(g.dialTLS(t, &tls.Config{ServerName: "a.example", RootCAs: ca.Pool}))(t)                         // waits for the server
			eventually(t, "all are there", func() bool { return g.Connections() == 3 })
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			check(t, g.Shutdown(ctx))
			if n := g.Connections(); n != 0 {
				t.Errorf("%d connections are left", n)
			}
		})
	}
}

// TestTLSMadeCertificate has a certificate that no file has.
func TestTLSMadeCertificate(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	certificate := ca.Issue("a.example")
	config := tlsConfig("", serve(t, echo), nil)
	config.Listeners[0].TLS.Certificates = []CertificateConfig{{Certificate: &certificate.Certificate}}
	g := startGateway(t, config)
	c := must(g.dialTLS(t, &tls.Config{ServerName: "a.example", RootCAs: ca.Pool}))(t)
	if got, err := exchange(c, []byte("x")); err != nil || string(got) != "x" {
		t.Errorf("%q came back: %v", got, err)
	}
	if g.counter(t, metricExpiry, "") == 0 {
		t.Error("there is no time at which it expires")
	}
	for says, made := range map[string]tls.Certificate{
		"wants a certificate and its private key": {}, "malformed certificate": {Certificate: [][]byte{{1}}, PrivateKey: certificate.PrivateKey},
	} {
		config.Listeners[0].TLS.Certificates = []CertificateConfig{{Certificate: &made}}
		if _, err := New(config, nil); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v\n\nshould say %q", err, says)
		}
	}
}

func TestTLSConfigMistakes(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	good, other, expired := ca.Issue("a"), ca.Issue("b"), ca.IssueUntil(time.Now().Add(-time.Minute), "c")
	early := ca.IssueUntil(time.Now().Add(10*time.Hour), "d")
	for says, text := range map[string]string{
		`wants at least one, { cert`:                       "[listener.tls]\n",
		`mode: unknown mode "terminat"`:                    "[listener.tls]\nmode = 'terminat'\ncertificates = [{ cert = '" + good.CertFile + "', key = '" + good.KeyFile + "' }]\n",
		`certificates[0].cert: open `:                      "[listener.tls]\ncertificates = [{ cert = 'none.pem' }]\n",
		`certificates[0].key: open `:                       "[listener.tls]\ncertificates = [{ cert = '" + good.CertFile + "', key = 'none.pem' }]\n",
		`private key does not match public key`:            "[listener.tls]\ncertificates = [{ cert = '" + good.CertFile + "', key = '" + other.KeyFile + "' }]\n",
		`the certificate has expired, on `:                 "[listener.tls]\ncertificates = [{ cert = '" + expired.CertFile + "', key = '" + expired.KeyFile + "' }]\n",
		`the certificate is not valid before `:             "[listener.tls]\ncertificates = [{ cert = '" + early.CertFile + "', key = '" + early.KeyFile + "' }]\n",
		`certificates[0].cert: required key is missing`:    "[listener.tls]\ncertificates = [{ key = '" + good.KeyFile + "' }]\n",
		`min_version: unknown version of TLS "1.4"`:        "[listener.tls]\nmode = 'passthrough'\nmin_version = '1.4'\n",
		`client_certificate: "required" wants a client_ca`: "[listener.tls]\nmode = 'passthrough'\nclient_certificate = 'required'\n",
		`client_ca: `:                                         "[listener.tls]\nmode = 'passthrough'\nclient_ca = '" + good.KeyFile + "'\n",
		`alpn[1]: wants a name`:                               "[listener.tls]\nmode = 'passthrough'\nalpn = ['h2', '']\n",
		`handshake_timeout: wants a positive`:                 "[listener.tls]\nmode = 'passthrough'\nhandshake_timeout = '-1s'\n",
		`did you mean "min_version"`:                          "[listener.tls]\nmode = 'passthrough'\nminversion = '1.2'\n",
		`tls: wants a server_name`:                            "[upstream.tls]\n",
		`ca: open `:                                           "[upstream.tls]\nserver_name = 'a'\nca = 'none.pem'\n",
		`nothing is verified then`:                            "[upstream.tls]\ninsecure_skip_verify = true\nca = '" + ca.File + "'\n",
		`key: wants a cert that it belongs to`:                "[upstream.tls]\nserver_name = 'a'\nkey = '" + good.KeyFile + "'\n",
		`tls.cert: ` + expired.CertFile + `: the certificate`: "[upstream.tls]\nserver_name = 'a'\ncert = '" + expired.CertFile + "'\nkey = '" + expired.KeyFile + "'\n",
	} {
		t.Run(says, func(t *testing.T) {
			listener := "[[listener]]\nname = 'in'\nlisten = '127.0.0.1:0'\nupstream = 'out'\n"
			upstream := "[[upstream]]\nname = 'out'\nservers = ['unix:/nowhere']\n"
			file := listener + text + upstream
			if strings.HasPrefix(text, "[upstream") {
				file = upstream + text + listener
			}
			config := must(ParseConfig("gateway.toml", []byte(file)))(t)
			config.Dir = t.TempDir()
			_, err := New(config, nil)
			if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "gateway.toml:") {
				t.Errorf("%v\n\nshould say %q", err, says)
			}
		})
	}
}
