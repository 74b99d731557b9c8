package framework

import (
	"crypto/tls"
	"os"
	"runtime"
	"strings"
	"testing"

	"fwx/framework/fwxtest"
)

// lastSession is a client's cache that offers the last session to every server.
type lastSession struct{ last *tls.ClientSessionState }

func (s *lastSession) Get(string) (*tls.ClientSessionState, bool) { return s.last, s.last != nil }

func (s *lastSession) Put(_ string, session *tls.ClientSessionState) {
	if session != nil { // a client of TLS 1.3 takes out what it offers
		s.last = session
	}
}

// TestTLSNoResumptionElsewhere sees that a session is resumed under the name only that it began
// with, though the certificate is for others too.
func TestTLSNoResumptionElsewhere(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	g := startGateway(t, tlsConfig("auto", serve(t, echo), []fwxtest.Issued{ca.Issue("a.example", "b.example")}))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			cache := &lastSession{}
			for _, step := range []struct {
				name    string
				resumed bool
			}{
				{"a.example", false}, {"a.example", true}, {"A.example", true}, {"b.example", false}, {"b.example", true}, {"a.example", false},
			} {
				client := &tls.Config{ServerName: step.name, RootCAs: ca.Pool, ClientSessionCache: cache, MaxVersion: version}
				c := must(g.dialTLS(t, client))(t)
				must(exchange(c, []byte("x")))(t)
				if got := c.ConnectionState().DidResume; got != step.resumed {
					t.Errorf("%s: resumed %t", step.name, got)
				}
			}
		})
	}
}

// TestKeyOthersCanRead sees that a private key that others can read is a mistake, wherever it is.
func TestKeyOthersCanRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("not on this system: modes")
	}
	ca := fwxtest.NewAuthority(t)
	issued := ca.Issue("a.example")
	both := issued.CertFile + ".both"
	text := append(must(os.ReadFile(issued.CertFile))(t), must(os.ReadFile(issued.KeyFile))(t)...)
	check(t, os.WriteFile(both, text, 0o600))
	of := func(cert, key string) func(c *Config) {
		return func(c *Config) {
			c.Listeners[0].TLS = &ListenerTLS{Certificates: []CertificateConfig{{Cert: cert, Key: key}}}
		}
	}
	for _, tt := range []struct {
		name, file string
		change     func(c *Config)
		key        string // of the mistake
	}{
		{"a key", issued.KeyFile, of(issued.CertFile, issued.KeyFile), "tls.certificates[0].key"},
		{"a key with its certificate", both, of(both, ""), "tls.certificates[0].cert"},
		{"a key for servers", issued.KeyFile, func(c *Config) {
			c.Upstreams[0].TLS = &UpstreamTLS{ServerName: "a", Cert: issued.CertFile, Key: issued.KeyFile}
		}, "tls.key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for mode, good := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o666: false, 0o644: false, 0o604: false} {
				check(t, os.Chmod(tt.file, mode))
				config := gatewayConfig("auto", "127.0.0.1:1")
				tt.change(&config)
				_, err := New(config, nil)
				if (err == nil) != good || err != nil && !strings.Contains(err.Error(), ": "+tt.key+": "+tt.file+" has a secret and can be read or written by others") {
					t.Errorf("%04o: %v", mode, err)
				}
			}
			check(t, os.Chmod(issued.CertFile, 0o644)) //nolint:gosec // it is no secret
			config := gatewayConfig("auto", "127.0.0.1:1")
			check(t, os.Chmod(tt.file, 0o600))
			tt.change(&config)
			must(New(config, nil))(t)
		})
	}
}
