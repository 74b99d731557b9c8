package framework

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fwx/framework/balance"
	"fwx/framework/completion"
	"fwx/framework/fwxtest"
)

// HTTP is spoken over TLS on both sides, and connections to servers are used again.
func TestHTTPOverTLS(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	certificate := ca.Issue("127.0.0.1")
	server := httptest.NewUnstartedServer(http.HandlerFunc(mirror))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate.Certificate}}
	server.StartTLS()
	t.Cleanup(server.Close)
	for _, backend := range completion.Backends() {
		t.Run(backend, func(t *testing.T) {
			config := tlsConfig(backend, server.Listener.Addr().String(), []fwxtest.Issued{certificate})
			config.Service.Workers = 1
			config.Upstreams[0].TLS = &UpstreamTLS{CA: ca.File}
			config.Listeners[0].Protocol = protocolHTTP
			g := startGateway(t, config)
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool}}
			t.Cleanup(transport.CloseIdleConnections)
			client := &http.Client{Transport: transport, Timeout: patience}
			for _, size := range []int{0, 1000, 200_000} {
				r := must(http.NewRequestWithContext(t.Context(), "POST", "https://"+g.ListenAddress("in").String()+"/", bytes.NewReader(random(size))))(t)
				p := must(client.Do(r))(t)
				got := must(io.ReadAll(p.Body))(t)
				check(t, p.Body.Close())
				if p.StatusCode != 200 || !bytes.Equal(got, random(size)) || p.Header.Get("Sent-X-Forwarded-Proto") != "https" {
					t.Errorf("%s, %d bytes of %d, %v", p.Status, len(got), size, p.Header)
				}
			}
			if n := g.counter(t, "fwx_tls_upstream_handshakes_total", "full") + g.counter(t, "fwx_tls_upstream_handshakes_total", "resumed"); n != 1 {
				t.Errorf("%v handshakes with the server", n)
			}
		})
	}
}

// HTTP/1.1 is what is offered by ALPN, and nothing else can be.
func TestHTTPAgreedByALPN(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	certificates := []fwxtest.Issued{ca.Issue("a.example")}
	config := tlsConfig("auto", httpServerOf(t, mirror), certificates)
	config.Listeners[0].Protocol = protocolHTTP
	g := startGateway(t, config)
	for _, test := range []struct {
		offered []string
		agreed  string
		refused bool
	}{
		{nil, "", false}, {[]string{"http/1.1"}, "http/1.1", false}, {[]string{"h2", "http/1.1"}, "http/1.1", false}, {[]string{"h2"}, "", true},
	} {
		c, err := g.dialTLS(t, &tls.Config{ServerName: "a.example", RootCAs: ca.Pool, NextProtos: test.offered})
		if (err != nil) != test.refused || err == nil && c.ConnectionState().NegotiatedProtocol != test.agreed {
			t.Errorf("%q: %v", test.offered, err)
		}
	}
	for what, change := range map[string]func(*ListenerTLS){
		`alpn[1]: "h2" is not spoken: protocol = "http" is "http/1.1"`: func(l *ListenerTLS) { l.ALPN = []string{"http/1.1", "h2"} },
		`mode: "passthrough" leaves nothing to read`:                   func(l *ListenerTLS) { l.Mode = TLSPassThrough },
	} {
		config := tlsConfig("auto", "127.0.0.1:1", certificates)
		config.Listeners[0].Protocol = protocolHTTP
		change(config.Listeners[0].TLS)
		if _, err := New(config, nil); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, want %s", err, what)
		}
	}
}

// A filter may choose the upstream of a connection by its ClientHello, to which requests go
// that have no other, and pass the connection through: then no HTTP is spoken on it.
func TestHTTPClientHello(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	answering := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, name+" "+r.Header.Get("Via")) //nolint:gosec // the client of the test tells
		}
	}
	secured := httptest.NewUnstartedServer(answering("secured"))
	secured.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Issue("passed.example").Certificate}}
	secured.StartTLS()
	t.Cleanup(secured.Close)
	attached, late := &detached{}, make(chan error, 1)
	f := &testFilter{mask: AcceptedConnection | ClientHello | ConnectTCP, onEvent: func(ev *Event) Verdict {
		c, err := ev.Connection, error(nil)
		switch {
		case ev.Type == AcceptedConnection:
			err = c.AttachHTTPFilter(attached)
		case ev.Type == ConnectTCP && !c.HTTP():
			late <- c.AttachHTTPFilter(attached)
		case ev.Type == ConnectTCP:
		case c.TLS().Hello.ServerName == "chosen.example":
			err = c.SetUpstream("chosen")
		case c.TLS().Hello.ServerName == "passed.example":
			err = errors.Join(c.SetUpstream("secured"), c.SetTLSMode(TLSPassThrough))
		}
		if err != nil {
			return Fail(err.Error())
		}
		return Pass
	}}
	config := tlsConfig("auto", httpServerOf(t, answering("out")), []fwxtest.Issued{ca.Issue("a.example", "chosen.example")}, f)
	config.Listeners[0].Protocol = protocolHTTP
	config.Listeners[0].Routes = []RouteConfig{{Path: "/routed", Upstream: "routed"}}
	for _, name := range []string{"chosen", "routed", "filtered"} {
		config.Upstreams = append(config.Upstreams, UpstreamConfig{Name: name, Servers: []string{httpServerOf(t, answering(name))}})
	}
	config.Upstreams = append(config.Upstreams, UpstreamConfig{Name: "secured", Servers: []string{secured.Listener.Addr().String()}})
	g := startGateway(t, config)
	connections := int64(0)
	for _, test := range []struct{ name, path, want string }{
		{"a.example", "/", "out 1.1 fwx"},
		{"chosen.example", "/", "chosen 1.1 fwx"},
		{"chosen.example", "/routed", "routed 1.1 fwx"},
		{"chosen.example", "/filtered", "filtered 1.1 fwx"},
		{"passed.example", "/routed", "secured "},
	} {
		c := must(g.dialTLS(t, &tls.Config{ServerName: test.name, RootCAs: ca.Pool}))(t)
		if p, got := ask(t, c, "GET "+test.path+" HTTP/1.1\r\nHost: a\r\n\r\n"); got != test.want {
			t.Errorf("%s%s: %s %q, want %q", test.name, test.path, p.Status, got, test.want)
		}
		check(t, c.Close())
		connections++
		eventually(t, "the HTTP filter knows that the connection is over", func() bool { return attached.Load() == connections })
	}
	if err := <-late; !errors.Is(err, ErrNotHTTP) {
		t.Errorf("an HTTP filter is attached to a connection that is passed through: %v", err)
	}
	if passed, full := g.counter(t, "fwx_tls_handshakes_total", "passed"), g.counter(t, "fwx_tls_handshakes_total", "full"); passed != 1 || full != 4 {
		t.Errorf("%v were passed through, %v terminated", passed, full)
	}
}

// detached is an HTTP filter that counts the connections that are over, and chooses an
// upstream for one path.
type detached struct{ atomic.Int64 }

func (d *detached) Detach() { d.Add(1) }

func (d *detached) Request(x *Exchange) Verdict {
	if string(x.Request().Path()) == "/filtered" {
		if err := x.SetUpstream("filtered"); err != nil {
			return Fail(err.Error())
		}
	}
	return Pass
}

// A server with TLS is offered HTTP/1.1 by ALPN or nothing: what else would be agreed on
// is not spoken.
func TestHTTPToServerAgreedByALPN(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(mirror))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Issue("127.0.0.1").Certificate}}
	server.StartTLS()
	t.Cleanup(server.Close)
	config := httpConfig("auto", server.Listener.Addr().String(), attaching(&testHTTP{request: func(x *Exchange) Verdict {
		if name := string(x.Request().Path()[1:]); name != "" {
			if err := x.SetUpstream(name); err != nil {
				return Fail(err.Error())
			}
		}
		return Pass
	}}))
	config.Upstreams[0].TLS = &UpstreamTLS{CA: ca.File, ALPN: []string{"http/1.1"}}
	for name, offered := range map[string][]string{"silent": nil, "both": {"h2", "http/1.1"}} {
		u := config.Upstreams[0]
		u.Name, u.TLS = name, &UpstreamTLS{CA: ca.File, ALPN: offered}
		config.Upstreams = append(config.Upstreams, u)
	}
	g := startGateway(t, config)
	for path, status := range map[string]int{"/": 200, "/silent": 200, "/both": 502} {
		p, _ := ask(t, g.dial(t), "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n")
		if p.StatusCode != status {
			t.Errorf("%s: %s, want %d", path, p.Status, status)
		}
		if status == 502 {
			g.answered(t, p, status, "which the upstream's alpn offers, but the gateway speaks")
		}
	}
	for says, change := range map[string]func(*Config){
		"": func(c *Config) { c.Listeners[0].Protocol, c.Listeners[0].HTTP = protocolTCP, nil },
		`upstream "out": tls.alpn[1]: "h2" is not spoken: listener "in" has protocol = "http", which is "http/1.1"`: func(c *Config) { c.Upstreams[0].TLS.ALPN = []string{"http/1.1", "h2"} },
		`upstream "both": tls.alpn[0]: "h2" is not spoken: listener "in"`:                                           func(c *Config) { c.Listeners[0].Routes = []RouteConfig{{Upstream: "both"}} },
	} {
		changed := httpConfig("auto", "127.0.0.1:1")
		changed.Upstreams[0].TLS = &UpstreamTLS{}
		changed.Upstreams = append(changed.Upstreams, UpstreamConfig{Name: "both", Servers: []string{"127.0.0.1:1"}, TLS: &UpstreamTLS{ALPN: []string{"h2"}}})
		change(&changed)
		if _, err := New(changed, nil); (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
}

// Servers with TLS are checked over it, and one whose certificate does not hold is down.
func TestChecksOverTLS(t *testing.T) {
	t.Parallel()
	ca := fwxtest.NewAuthority(t)
	good, expired := ca.Issue("127.0.0.1"), ca.IssueUntil(time.Now().Add(-time.Minute), "127.0.0.1")
	serverWith := func(certificate fwxtest.Issued, status int) string {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate.Certificate}}
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}
	silent := serve(t, func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) })
	servers := []string{serverWith(good, 200), serverWith(good, 500), serverWith(expired, 200), httpServerOf(t, mirror), silent}
	for kind, want := range map[string][]string{
		balance.CheckTCP:  {"", "", "expired", "TLS handshake", "no answer within"},
		balance.CheckHTTP: {"", "status 500", "expired", "TLS handshake", "no answer within"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			config := httpConfig("auto", "127.0.0.1:1")
			config.Upstreams[0].Servers = servers
			config.Upstreams[0].TLS = &UpstreamTLS{CA: ca.File}
			config.Upstreams[0].Check = &balance.CheckConfig{Kind: kind, Interval: 50 * time.Millisecond, Timeout: 2 * time.Second, Fall: 1}
			g := startGateway(t, config)
			eventually(t, "each server has been judged", func() bool {
				for i, info := range g.UpstreamInfos()[0].Servers {
					if info.Checks == 0 || (want[i] == "") != (info.State == "up") || !strings.Contains(info.Reason, want[i]) {
						return false
					}
				}
				return true
			})
			// A changed configuration has other authorities.
			config.Upstreams[0].TLS = &UpstreamTLS{CA: fwxtest.NewAuthority(t).File}
			check(t, g.Reload(t.Context(), config))
			eventually(t, "nobody is trusted any more", func() bool {
				info := g.UpstreamInfos()[0].Servers[0]
				return info.State == "down" && strings.Contains(info.Reason, "unknown authority")
			})
		})
	}
}

// A server whose certificate does not hold is not spoken to, and the log says why.
func TestHTTPToUnknownServer(t *testing.T) {
	ca, other := fwxtest.NewAuthority(t), fwxtest.NewAuthority(t)
	for reason, certificate := range map[string]fwxtest.Issued{
		"unknown authority":                  other.Issue("127.0.0.1"),
		"expired":                            ca.IssueUntil(time.Now().Add(-time.Minute), "127.0.0.1"),
		"valid for 127.0.0.2, not 127.0.0.1": ca.Issue("127.0.0.2"),
	} {
		t.Run(reason, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(mirror))
			server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate.Certificate}}
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.StartTLS()
			t.Cleanup(server.Close)
			g := startHTTP(t, server.Listener.Addr().String(), func(c *Config) { c.Upstreams[0].TLS = &UpstreamTLS{CA: ca.File} })
			p, _ := ask(t, g.dial(t), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			g.answered(t, p, 502, reason)
			if n := g.counter(t, "fwx_tls_upstream_handshakes_total", "failed"); n != 1 {
				t.Errorf("%v failed handshakes are counted", n)
			}
		})
	}
}
