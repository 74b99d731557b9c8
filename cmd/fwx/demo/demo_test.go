package demo_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"fwx/cmd/fwx/demo"
	"fwx/framework/fwxtest"
)

func TestMain(m *testing.M) { fwxtest.VerifyMain(m) }

// start runs a server for the length of a test.
func start(tb testing.TB) *demo.Server {
	tb.Helper()
	s, err := demo.Start(nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
	return s
}

// newClient returns a client with connections of its own, closed with the test.
func newClient(tb testing.TB) *http.Client {
	tb.Helper()
	transport := &http.Transport{DisableCompression: true, ExpectContinueTimeout: time.Minute}
	tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// do sends a request; the answer's body is closed with the test.
func do(tb testing.TB, s *demo.Server, method, path string, body io.Reader, header ...string) *http.Response {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), method, "http://"+s.Addr()+path, body)
	if err != nil {
		tb.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := newClient(tb).Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

// text returns the body of an answer.
func text(tb testing.TB, answer *http.Response) string {
	tb.Helper()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return string(body)
}

// dial opens a connection that lasts for the test, or half a minute.
func dial(tb testing.TB, address string) *net.TCPConn {
	tb.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(tb.Context(), "tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		tb.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// send writes to a connection.
func send(tb testing.TB, w io.Writer, s string) {
	tb.Helper()
	if _, err := io.WriteString(w, s); err != nil {
		tb.Fatal(err)
	}
}

func TestAnswers(t *testing.T) {
	s := start(t)
	tests := []struct {
		method, path string
		status       int
		says         string
	}{
		{"GET", "/", 200, "var/audit.jsonl"},
		{"GET", "/", 200, "curl -o /dev/null http://127.0.0.1:8080/bytes/1048576"},
		{"HEAD", "/", 200, ""},
		{"POST", "/", 405, "not POST"},
		{"GET", "/nothing", 404, "/bytes/N"},
		{"GET", "/bytes", 404, "/bytes/N"},
		{"GET", "/bytes/", 404, "/bytes/N"},
		{"GET", "/bytes/1/2", 404, "/bytes/N"},
		{"GET", "/bytes/ten", 400, `N must be a whole number from 0 to 1099511627776, not "ten"`},
		{"GET", "/bytes/-1", 400, `not "-1"`},
		{"GET", "/bytes/+1", 400, `not "+1"`},
		{"GET", "/bytes/1e6", 400, `not "1e6"`},
		{"GET", "/bytes/%31", 200, "\xaf"},
		{"GET", "/bytes/1%0a", 400, `not "1\n"`},
		{"GET", "/bytes/1099511627777", 400, `not "1099511627777"`},
		{"GET", "/bytes/99999999999999999999", 400, `not "99999999999999999999"`},
		{"HEAD", "/bytes/ten", 400, ""},
		{"DELETE", "/bytes/1", 405, "/bytes/1 takes GET and HEAD, not DELETE"},
		{"GET", "/slow/0", 200, "answered after 0 ms\n"},
		{"HEAD", "/slow/1", 200, ""},
		{"GET", "/slow/soon", 400, `MS must be a whole number from 0 to 60000, not "soon"`},
		{"GET", "/slow/60001", 400, `not "60001"`},
		{"PUT", "/slow/1", 405, "not PUT"},
		{"GET", "/echo", 200, ""},
		{"HEAD", "/echo", 200, ""},
	}
	for _, test := range tests {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			answer := do(t, s, test.method, test.path, nil)
			body := text(t, answer)
			if answer.StatusCode != test.status {
				t.Errorf("status %d, want %d", answer.StatusCode, test.status)
			}
			if !strings.Contains(body, test.says) {
				t.Errorf("body %q lacks %q", body, test.says)
			}
			if test.says == "" && body != "" {
				t.Errorf("body %q, want none", body)
			}
			if allow := answer.Header.Get("Allow"); (allow != "") != (test.status == 405) {
				t.Errorf("Allow: %q with status %d", allow, test.status)
			}
		})
	}
}

func TestServeBytes(t *testing.T) {
	s := start(t)
	for _, size := range []int{0, 1, 7, 8, 1000, 64 << 10, 64<<10 + 1, 10<<20 + 3} {
		path := "/bytes/" + strconv.Itoa(size)
		t.Run(path, func(t *testing.T) {
			answer := do(t, s, http.MethodGet, path, nil)
			if answer.StatusCode != http.StatusOK || answer.ContentLength != int64(size) {
				t.Errorf("status %d, length %d", answer.StatusCode, answer.ContentLength)
			}
			hash := sha256.New()
			if n, err := io.Copy(hash, answer.Body); err != nil || n != int64(size) {
				t.Fatalf("received %d bytes, error %v", n, err)
			}
			if want := sha256.Sum256(take(t, size)); !bytes.Equal(hash.Sum(nil), want[:]) {
				t.Errorf("sha256 %x, want %x", hash.Sum(nil), want)
			}
			head := do(t, s, http.MethodHead, path, nil)
			if head.StatusCode != http.StatusOK || head.ContentLength != int64(size) {
				t.Errorf("HEAD: status %d, length %d", head.StatusCode, head.ContentLength)
			}
		})
	}
}

func TestServeBytesUpToTheLimit(t *testing.T) {
	s := start(t)
	const path, size = "/bytes/1099511627776", 1 << 40
	if head := do(t, s, http.MethodHead, path, nil); head.ContentLength != size {
		t.Errorf("HEAD: length %d", head.ContentLength)
	}
	answer := do(t, s, http.MethodGet, path, nil)
	if answer.ContentLength != size {
		t.Errorf("length %d", answer.ContentLength)
	}
	got := make([]byte, 1<<20)
	if _, err := io.ReadFull(answer.Body, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, take(t, len(got))) {
		t.Error("other bytes than those of the stream")
	}
}

func TestEcho(t *testing.T) {
	s := start(t)
	large := take(t, 20<<20+5)
	tests := []struct {
		name    string
		method  string
		body    []byte
		unknown bool // sent without a length
		header  []string
	}{
		{name: "nothing", method: http.MethodPost},
		{name: "short", method: http.MethodPost, body: []byte("hello\n")},
		{name: "short, without a length", method: http.MethodPost, body: []byte("hello\n"), unknown: true},
		{name: "large", method: http.MethodPost, body: large},
		{name: "large, without a length", method: http.MethodPut, body: large, unknown: true},
		{name: "own type", method: http.MethodPost, body: []byte("{}"), header: []string{"Content-Type", "application/json"}},
		{name: "expects to be asked", method: http.MethodPost, body: large, header: []string{"Expect", "100-continue"}},
		{name: "DELETE", method: http.MethodDelete, body: []byte("gone")},
		{name: "method of its own", method: "BREW", body: []byte("coffee")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var body io.Reader = bytes.NewReader(test.body)
			if test.unknown {
				body = io.MultiReader(body) // Hides the length.
			}
			answer := do(t, s, test.method, "/echo", body, test.header...)
			wantLength, wantType := int64(len(test.body)), "application/octet-stream"
			if test.unknown {
				wantLength = -1
			}
			if len(test.header) > 0 && test.header[0] == "Content-Type" {
				wantType = test.header[1]
			}
			if answer.StatusCode != http.StatusOK || answer.ContentLength != wantLength {
				t.Errorf("status %d, length %d, want length %d", answer.StatusCode, answer.ContentLength, wantLength)
			}
			if got := answer.Header.Get("Content-Type"); got != wantType {
				t.Errorf("type %q, want %q", got, wantType)
			}
			got, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, test.body) {
				t.Errorf("received %d other bytes than the %d sent", len(got), len(test.body))
			}
		})
	}
}

// conversation is a request to /echo whose body is still being sent.
type conversation struct {
	*testing.T
	sent   *io.PipeWriter
	answer *http.Response
}

// talk begins a conversation and returns when the server has answered a first byte.
func talk(t *testing.T, s *demo.Server) conversation {
	t.Helper()
	r, w := io.Pipe()
	t.Cleanup(func() { _ = w.Close() })
	go func() { _, _ = io.WriteString(w, "a") }()
	c := conversation{t, w, do(t, s, http.MethodPost, "/echo", r)}
	c.receive("a")
	return c
}

// receive reads what must come next.
func (c conversation) receive(want string) {
	c.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c.answer.Body, got); err != nil || string(got) != want {
		c.Fatalf("received %q, error %v, want %q", got, err, want)
	}
}

func TestEchoAnswersWhileTheRequestComesIn(t *testing.T) {
	c := talk(t, start(t))
	for i := range 10 {
		part := fmt.Sprintf("part %d\n", i)
		send(t, c.sent, part)
		c.receive(part)
	}
	if err := c.sent.Close(); err != nil {
		t.Fatal(err)
	}
	if rest := text(t, c.answer); rest != "" {
		t.Errorf("received %q after the end", rest)
	}
}

func TestEchoOfHalfARequest(t *testing.T) {
	s := start(t)
	tests := []struct{ name, request string }{
		{"length", "POST /echo HTTP/1.1\r\nHost: demo\r\nContent-Length: 10\r\n\r\nhello"},
		{"chunks", "POST /echo HTTP/1.1\r\nHost: demo\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"},
		{"bad chunk", "POST /echo HTTP/1.1\r\nHost: demo\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nworld\r\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			conn := dial(t, s.Addr())
			send(t, conn, test.request)
			if err := conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				return // Broken off before it began: it does not look complete either.
			}
			defer answer.Body.Close()
			if body, err := io.ReadAll(answer.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("received %q, error %v, want an unexpected EOF", body, err)
			}
		})
	}
}

func TestConnectionIsKept(t *testing.T) {
	conn := dial(t, start(t).Addr())
	reader := bufio.NewReader(conn)
	for range 3 {
		send(t, conn, "POST /echo HTTP/1.1\r\nHost: demo\r\nContent-Length: 5\r\n\r\nhello")
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body := text(t, answer); body != "hello" || answer.Close {
			t.Errorf("received %q, closing %t", body, answer.Close)
		}
		_ = answer.Body.Close()
	}
}

func TestSlow(t *testing.T) {
	s := start(t)
	begin := time.Now()
	answer := do(t, s, http.MethodGet, "/slow/60", nil)
	if body := text(t, answer); body != "answered after 60 ms\n" {
		t.Errorf("body %q", body)
	}
	if took := time.Since(begin); took < 60*time.Millisecond {
		t.Errorf("answered after %v", took)
	}
}

func TestGivesUpWhenTheClientGoes(t *testing.T) {
	for _, path := range []string{"/slow/60000", "/bytes/1099511627776"} {
		t.Run(path, func(t *testing.T) {
			begun, ended := make(chan struct{}), make(chan struct{})
			handler := demo.NewHandler()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(ended)
				close(begun)
				handler.ServeHTTP(w, r)
			}))
			defer server.Close()
			conn := dial(t, server.Listener.Addr().String())
			send(t, conn, "GET "+path+" HTTP/1.1\r\nHost: demo\r\n\r\n")
			<-begun
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Error("still being answered")
			}
		})
	}
}

// closes closes s and fails the test if that takes much longer than Close says.
func closes(tb testing.TB, s *demo.Server) {
	tb.Helper()
	begin := time.Now()
	if err := s.Close(); err != nil {
		tb.Errorf("Close: %v", err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		tb.Errorf("Close took %v", took)
	}
}

func TestClose(t *testing.T) {
	s := start(t)
	idle := dial(t, s.Addr())
	send(t, idle, "GET / HTTP/1.1\r\nHost: demo\r\n\r\n")
	if _, err := idle.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	closes(t, s)
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	var dialer net.Dialer
	if conn, err := dialer.DialContext(t.Context(), "tcp", s.Addr()); err == nil {
		_ = conn.Close()
		t.Error("still listening")
	}
	if _, err := io.Copy(io.Discard, idle); err != nil {
		t.Errorf("idle connection: %v", err)
	}
}

func TestCloseAtOnce(t *testing.T) {
	for range 50 {
		s, err := demo.Start(nil)
		if err != nil {
			t.Fatal(err)
		}
		closes(t, s)
	}
}

func TestCloseLetsARequestEnd(t *testing.T) {
	s := start(t)
	c := talk(t, s)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	fwxtest.Eventually(t, 10*time.Second, "the server stopped listening", func() bool {
		var dialer net.Dialer
		conn, err := dialer.DialContext(t.Context(), "tcp", s.Addr())
		if err != nil {
			return true
		}
		_ = conn.Close()
		return false
	})
	send(t, c.sent, "b")
	c.receive("b")
	if err := c.sent.Close(); err != nil {
		t.Fatal(err)
	}
	if rest := text(t, c.answer); rest != "" {
		t.Errorf("received %q after the end", rest)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestCloseBreaksRequestsOff(t *testing.T) {
	s := start(t)
	silent := dial(t, s.Addr()) // Has not sent its request yet.
	slow := dial(t, s.Addr())
	send(t, slow, "GET /slow/60000 HTTP/1.1\r\nHost: demo\r\n\r\n")
	unread := dial(t, s.Addr()) // Never reads what it asked for.
	send(t, unread, "GET /bytes/1099511627776 HTTP/1.1\r\nHost: demo\r\n\r\n")
	c := talk(t, s)
	closes(t, s)
	if _, err := io.ReadAll(c.answer.Body); err == nil {
		t.Error("the echo looks complete")
	}
	for name, conn := range map[string]net.Conn{"silent": silent, "slow": slow} {
		// A reset is as good an end as any.
		got, err := io.ReadAll(conn)
		if len(got) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s connection: received %q, error %v", name, got, err)
		}
	}
}

func BenchmarkServeBytes(b *testing.B) {
	s := start(b)
	const size = 1 << 30
	conn := dial(b, s.Addr())
	if err := conn.SetDeadline(time.Time{}); err != nil {
		b.Fatal(err)
	}
	buffer := make([]byte, 256<<10)
	b.SetBytes(size)
	for b.Loop() {
		send(b, conn, "GET /bytes/"+strconv.Itoa(size)+" HTTP/1.1\r\nHost: demo\r\n\r\n")
		for left := size; left > 0; {
			n, err := conn.Read(buffer)
			if err != nil {
				b.Fatal(err)
			}
			left -= n
		}
	}
}
