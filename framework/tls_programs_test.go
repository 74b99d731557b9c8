package framework

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"fwx/framework/fwxtest"
)

// lines answers each line of a client by "said: " and the line, until it says bye.
func lines(c *net.TCPConn) {
	in := bufio.NewScanner(c)
	for in.Scan() {
		if _, err := fmt.Fprintf(c, "said: %s\n", in.Text()); err != nil || in.Text() == "bye" {
			return
		}
	}
}

// sClient is a running openssl s_client.
type sClient struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *logBuffer
}

// openssl starts s_client against the gateway.
func (g *gateway) openssl(t *testing.T, ca *fwxtest.Authority, args ...string) *sClient {
	t.Helper()
	program := fwxtest.Require(t, "openssl")
	args = append([]string{
		"s_client", "-connect", g.ListenAddress("in").String(), "-servername", "a.example", "-verify_hostname", "a.example",
		"-CAfile", ca.File, "-verify_return_error",
	}, args...)
	s := &sClient{t: t, cmd: exec.CommandContext(t.Context(), program, args...), out: &logBuffer{}}
	s.in = must(s.cmd.StdinPipe())(t)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	check(t, s.cmd.Start())
	return s
}

// say sends a line, and waits for something that the program then shows once more.
func (s *sClient) say(line, want string) {
	s.t.Helper()
	before := s.shown(want)
	must(io.WriteString(s.in, line+"\n"))(s.t)
	eventually(s.t, fmt.Sprintf("after %q openssl shows %q", line, want), func() bool { return s.shown(want) > before })
}

// shown returns how often the program has shown something.
func (s *sClient) shown(what string) int {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return strings.Count(s.out.text.String(), what)
}

// end ends the program and returns what it has shown.
func (s *sClient) end() string {
	s.t.Helper()
	_ = s.in.Close()
	_ = s.cmd.Wait() // its code is of no interest
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return s.out.text.String()
}

func TestOpenSSL(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	certificate, alice := ca.Issue("a.example"), ca.Issue("alice")
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			config := tlsConfig(backend, serve(t, lines), []fwxtest.Issued{certificate})
			config.Listeners[0].TLS.ALPN = []string{"lines"}
			config.Listeners[0].TLS.ClientCA, config.Listeners[0].TLS.ClientCertificate = ca.File, "optional"
			g := startGateway(t, config)
			for _, version := range []string{"-tls1_2", "-tls1_3"} {
				session := filepath.Join(t.TempDir(), "session")
				s := g.openssl(t, ca, version, "-alpn", "lines", "-cert", alice.CertFile, "-key", alice.KeyFile, "-sess_out", session)
				s.say("hello", "said: hello")
				if version == "-tls1_3" {
					s.say("k", "KEYUPDATE") // our keys change
					s.say("after k", "said: after k")
					s.say("K", "KEYUPDATE") // and the gateway is asked to change its own
					s.say("after K", "said: after K")
				}
				s.say("bye", "said: bye")
				shown := s.end()
				for _, want := range []string{"Verification: OK", "ALPN protocol: lines", "New, TLSv1"} {
					if !strings.Contains(shown, want) {
						t.Errorf("%s does not show %q:\n%s", version, want, shown)
					}
				}
				again := g.openssl(t, ca, version, "-sess_in", session)
				again.say("bye", "said: bye")
				if shown := again.end(); !strings.Contains(shown, "Reused, TLSv1") {
					t.Errorf("%s does not resume:\n%s", version, shown)
				}
			}
			old := g.openssl(t, ca, "-tls1_1", "-cipher", "ALL@SECLEVEL=0")
			if shown := old.end(); !strings.Contains(shown, "protocol version") {
				t.Errorf("TLS 1.1 is not refused by an alert:\n%s", shown)
			}
		})
	}
}

// TestOpenSSLServer speaks TLS with openssl s_server.
func TestOpenSSLServer(t *testing.T) {
	t.Parallel()
	program := fwxtest.Require(t, "openssl")
	ca := fwxtest.NewAuthority(t)
	certificate := ca.Issue("s.example")
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		server := exec.CommandContext(t.Context(), program, "s_server", "-accept", "127.0.0.1:0", "-cert", certificate.CertFile,
			"-key", certificate.KeyFile, "-rev", version)
		out := must(server.StdoutPipe())(t)
		check(t, server.Start())
		address := ""
		for in := bufio.NewScanner(out); address == "" && in.Scan(); {
			if rest, ok := strings.CutPrefix(in.Text(), "ACCEPT "); ok {
				address = rest
			}
		}
		config := gatewayConfig("auto", address)
		config.Upstreams[0].TLS = &UpstreamTLS{CA: ca.File, ServerName: "s.example"}
		g := startGateway(t, config)
		conn := g.dial(t)
		for range 3 {
			must(io.WriteString(conn, "abcdef\n"))(t)
			answer := make([]byte, 7)
			if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "fedcba\n" {
				t.Errorf("%s: %q, %v", version, answer, err)
			}
		}
		conn.Close()
		_ = server.Process.Kill()
		_ = server.Wait() // it was killed
	}
}

func TestCurl(t *testing.T) {
	t.Parallel()
	program := fwxtest.Require(t, "curl")
	ca := fwxtest.NewAuthority(t)
	body := random(4 << 20)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, err := io.ReadAll(r.Body)
		if err != nil || len(sent) > 0 && !bytes.Equal(sent, body) {
			http.Error(w, "this is not what was sent", http.StatusBadRequest)
			return
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(web.Close)
	upload := filepath.Join(t.TempDir(), "body")
	check(t, os.WriteFile(upload, body, 0o600))
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			g := startGateway(t, tlsConfig(backend, strings.TrimPrefix(web.URL, "http://"), []fwxtest.Issued{ca.Issue("a.example")}))
			port := strconv.Itoa(int(g.ListenAddress("in").Port()))
			url := "https://a.example:" + port + "/"
			for _, args := range [][]string{{"--tls-max", "1.2", url}, {url, url}, {"--data-binary", "@" + upload, url}} {
				args = append([]string{"-sS", "-f", "--http1.1", "--cacert", ca.File, "--resolve", "a.example:" + port + ":127.0.0.1"}, args...)
				out, err := exec.CommandContext(t.Context(), program, args...).Output()
				if want := bytes.Repeat(body, strings.Count(strings.Join(args, " "), url)); err != nil || !bytes.Equal(out, want) {
					t.Errorf("curl %v: %d bytes of %d, %v", args, len(out), len(want), err)
				}
			}
		})
	}
}
