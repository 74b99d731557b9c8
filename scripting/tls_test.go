package scripting

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"fwx/framework"
	"fwx/framework/fwxtest"
)

// withTLS gives a gateway's listener TLS, and more upstreams.
func (g *gateway) withTLS(settings framework.ListenerTLS, upstreams map[string]string) {
	g.tb.Helper()
	g.config.Listeners[0].TLS = &settings
	for name, server := range upstreams {
		g.config.Upstreams = append(g.config.Upstreams, framework.UpstreamConfig{Name: name, Servers: []string{server}})
	}
	var err error
	if g.fw, err = framework.New(g.config, framework.NewRegistry(Factory())); err != nil {
		g.tb.Fatal(err)
	}
}

// ask makes a handshake, sends a line and returns the answer.
func (g *gateway) ask(config *tls.Config, line string) (string, error) {
	g.tb.Helper()
	conn, err := g.tryDial()
	if err != nil {
		return "", err
	}
	defer conn.Close()
	c := tls.Client(conn, config)
	if err := c.HandshakeContext(g.tb.Context()); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c, line); err != nil {
		return "", err
	}
	if err := c.CloseWrite(); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(c)
	return string(answer), err
}

// named is a server that answers by its name; with a certificate it speaks TLS.
func named(tb testing.TB, name string, certificate *tls.Certificate) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // The test ends it.
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(30 * time.Second))
			if certificate != nil {
				c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*certificate}})
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(io.Discard, struct{ io.Reader }{c})
				_, _ = io.WriteString(c, name)
			}()
		}
	}()
	return l.Addr().String()
}

func TestClientHello(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	certificate, alice := ca.Issue("a.example"), ca.Issue("alice")
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		g := newGateway(t, backend, `
			function M.on_client_hello(conn, hello)
				assert(conn.tls.terminated == false and conn.tls.version == nil and conn.tls.sni == hello.sni)
				assert(#hello.versions == 2 and hello.versions[1] == "1.3", table.concat(hello.versions, " "))
				assert(hello.alpn[1] == "echo" and #hello.fingerprint == 36 and hello.groups[1] == 4588)
				assert(#hello.cipher_suites > 3 and #hello.extensions > 5)
				fwx.sleep(0.001)
				local ok, err, code = conn:set_upstream("nowhere")
				assert(ok == nil and code == "unknown", err)
				if hello.sni == "denied.example" then return fwx.deny("not you") end
				if hello.sni == "broken.example" then error("on purpose") end
			end
			function M.on_connect(conn)
				local t = conn.tls
				local ok, err, code = conn:set_tls_mode("terminate")
				assert(ok == nil and code == "error")
				fwx.log.info("tls", { version = t.version, cipher = t.cipher, alpn = t.alpn, subject = t.client_subject, resumed = tostring(t.resumed) })
			end`)
		g.withTLS(framework.ListenerTLS{
			Certificates: []framework.CertificateConfig{{Cert: certificate.CertFile, Key: certificate.KeyFile}}, ALPN: []string{"echo"}, ClientCA: ca.File,
		}, nil)
		g.start()
		config := func(name string) *tls.Config {
			return &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"echo"}, Certificates: []tls.Certificate{alice.Certificate}} //nolint:gosec // it is not about the server
		}
		if answer, err := g.ask(config("a.example"), "hello"); err != nil || answer != "hello" {
			t.Errorf("%q, %v", answer, err)
		}
		for _, want := range []string{"version=1.3", "cipher=TLS_", "alpn=echo", "subject=CN=alice", "resumed=false"} {
			if log := strings.ReplaceAll(g.log.String(), `"`, ""); !strings.Contains(log, want) {
				t.Errorf("the log has no %s", want)
			}
		}
		for name, want := range map[string]string{"denied.example": "access denied", "broken.example": ""} {
			if _, err := g.ask(config(name), "hello"); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		g.logged("not you") // which the alert may overtake
		g.logged("on purpose")
	})
}

// TestClientHelloOfHTTP has on_client_hello decide on a listener that speaks HTTP: requests
// go to the upstream that it has chosen, unless on_request chooses another, and are not seen
// on a connection that is passed through.
func TestClientHelloOfHTTP(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	here, there := ca.Issue("a.example", "chosen.example"), ca.Issue("passed.example")
	answering := func(name string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			say(w, name+" "+r.Header.Get("X-Seen"))
		}))
		t.Cleanup(server.Close)
		return server.Listener.Addr().String()
	}
	g := newGatewayTo(t, answering("site"), 1, anyBackend, `
		function M.on_client_hello(conn, hello)
			if hello.sni == "chosen.example" then assert(conn:set_upstream("chosen")) end
			if hello.sni == "passed.example" then
				assert(conn:set_upstream("secured"))
				assert(conn:set_tls_mode("passthrough"))
			end
		end
		function M.on_connect(conn) assert(conn.tls.terminated == (conn.upstream ~= "secured")) end
		function M.on_request(conn, req)
			req.headers:set("X-Seen", conn.tls.sni)
			if req.path == "/back" then req.upstream = "site" end
		end`)
	g.config.Listeners[0].Protocol = "http"
	g.withTLS(framework.ListenerTLS{Certificates: []framework.CertificateConfig{{Cert: here.CertFile, Key: here.KeyFile}}},
		map[string]string{"chosen": answering("chosen"), "secured": named(t, "secured", &there.Certificate)})
	g.start()
	for _, test := range []struct{ name, path, want string }{
		{"a.example", "/", "site a.example"},
		{"chosen.example", "/", "chosen chosen.example"},
		{"chosen.example", "/back", "site chosen.example"},
		{"passed.example", "/back", "secured"},
	} {
		answer, err := g.ask(&tls.Config{ServerName: test.name, RootCAs: ca.Pool}, "GET "+test.path+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		if err != nil || !strings.HasSuffix(answer, test.want) {
			t.Errorf("%s%s: %q, %v, want %s", test.name, test.path, answer, err, test.want)
		}
	}
}

// TestNoTLS sees that conn.tls is nil where there is no TLS.
func TestNoTLS(t *testing.T) {
	g := newGateway(t, anyBackend, `
		function M.on_client_hello() error("there is none") end
		function M.on_connect(conn)
			assert(conn.tls == nil)
			local ok, err, code = conn:set_upstream("site")
			assert(ok == nil and code == "error")
			assert(not pcall(conn.set_tls_mode, conn, "maybe"))
		end`).start()
	c := g.dial()
	defer c.Close()
	if _, err := io.WriteString(c, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Error(err)
	}
}

func TestExampleSNIRouter(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	certificate := ca.Issue("app.example", "a.shop.example", "other.example")
	here := ca.Issue("admin.example")
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		g := example(t, backend, "sni_router.lua", Allow{}, map[string]any{
			"routes":    map[string]any{"app.example": "app", "*.shop.example": "shop", "admin.example": "admin"},
			"terminate": []any{"admin.example"}, "refuse_unknown": true,
		}, func(g *gateway) {
			g.withTLS(framework.ListenerTLS{
				Mode: framework.TLSPassThrough, Certificates: []framework.CertificateConfig{{Cert: here.CertFile, Key: here.KeyFile}},
			}, map[string]string{
				"app": named(t, "app", &certificate.Certificate), "shop": named(t, "shop", &certificate.Certificate), "admin": named(t, "admin", nil),
			})
		})
		for name, want := range map[string]string{"app.example": "app", "APP.example": "app", "a.shop.example": "shop", "admin.example": "admin"} {
			if answer, err := g.ask(&tls.Config{ServerName: name, RootCAs: ca.Pool}, "?"); err != nil || answer != want {
				t.Errorf("%s: %q, %v", name, answer, err)
			}
		}
		for _, name := range []string{"shop.example", "other.example", ""} {
			if _, err := g.ask(&tls.Config{ServerName: name, InsecureSkipVerify: true}, "?"); err == nil || !strings.Contains(err.Error(), "access denied") { //nolint:gosec // it is not about the server
				t.Errorf("%q: %v", name, err)
			}
		}
	})
}
