package framework

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fwx/framework/balance"
	"fwx/framework/completion"
	"fwx/framework/fwxtest"
)

// httpConfig is gatewayConfig for a listener that speaks HTTP.
func httpConfig(backend, server string, filters ...Filter) Config {
	config := gatewayConfig(backend, server, filters...)
	config.Listeners[0].Protocol = protocolHTTP
	config.Listeners[0].HTTP = &HTTPConfig{}
	return config
}

// startHTTP starts a gateway before a server.
func startHTTP(t *testing.T, server string, change func(*Config), filters ...Filter) *gateway {
	t.Helper()
	config := httpConfig("auto", server, filters...)
	if change != nil {
		change(&config)
	}
	return startGateway(t, config)
}

// httpServerOf runs a server of net/http and returns its address.
func httpServerOf(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// httpClient returns a client of the gateway, and the URL of its listener.
func (g *gateway) httpClient(t *testing.T) (*http.Client, string) {
	t.Helper()
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		"http://" + g.ListenAddress("in").String()
}

// say sends a text on a connection of its own, and returns all that comes back before
// the end of the stream.
func (g *gateway) say(t *testing.T, text string) string {
	t.Helper()
	c := g.dial(t)
	_, err := io.WriteString(c, text)
	check(t, err)
	return string(must(io.ReadAll(c))(t))
}

// ask sends a text on a connection and returns the response to it.
func ask(t *testing.T, c net.Conn, text string) (*http.Response, string) {
	t.Helper()
	_, err := io.WriteString(c, text)
	check(t, err)
	return answerOf(t, bufio.NewReader(c), "GET")
}

// answerOf reads a response.
func answerOf(t *testing.T, r *bufio.Reader, method string) (*http.Response, string) {
	t.Helper()
	p := must(http.ReadResponse(r, &http.Request{Method: method}))(t)
	body := must(io.ReadAll(p.Body))(t)
	return p, string(body)
}

// mirror answers with what it was asked: the method, the path, the fields and the body.
func mirror(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Mirror", r.Method+" "+r.RequestURI)
	for name, values := range r.Header {
		for _, v := range values {
			w.Header().Add("Sent-"+name, v)
		}
	}
	w.Header().Set("Sent-Host", r.Host)
	if r.TransferEncoding != nil {
		w.Header().Set("Sent-Chunked", "yes")
	}
	for name, values := range r.Trailer {
		w.Header().Set("Sent-Trailer-"+name, strings.Join(values, ","))
	}
	if size := r.URL.Query().Get("size"); size != "" {
		n, _ := strconv.Atoi(size)
		body = random(n)
	}
	if r.URL.Query().Has("chunked") {
		w.Header().Set("Trailer", "Sum")
		_ = http.NewResponseController(w).Flush() // it can
		_, _ = w.Write(body)                      // the client may be gone
		w.Header().Set("Sum", strconv.Itoa(len(body)))
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client may be gone
}

// Bodies of all sizes go both ways, with a length and in chunks, over connections that
// are kept alive on both sides.
func TestHTTPBodies(t *testing.T) {
	for _, backend := range completion.Backends() {
		t.Run(backend, func(t *testing.T) {
			g := startGateway(t, httpConfig(backend, httpServerOf(t, mirror)))
			client, url := g.httpClient(t)
			for _, size := range []int{0, 1, 100, 8 << 10, 64 << 10, 64<<10 + 1, 1 << 20} {
				for _, chunked := range []bool{false, true} {
					var body io.Reader = bytes.NewReader(random(size))
					path := "/"
					if chunked {
						body, path = struct{ io.Reader }{body}, "/?chunked"
					}
					r := must(http.NewRequestWithContext(t.Context(), "POST", url+path, body))(t)
					if chunked {
						r.Trailer = http.Header{"Check": {"yes"}}
					}
					p := must(client.Do(r))(t)
					got := must(io.ReadAll(p.Body))(t)
					check(t, p.Body.Close())
					if !bytes.Equal(got, random(size)) {
						t.Errorf("%d bytes, chunked %v: %d came back", size, chunked, len(got))
					}
					if want := strconv.Itoa(size); chunked && p.Trailer.Get("Sum") != want || !chunked && p.ContentLength != int64(size) {
						t.Errorf("%d bytes, chunked %v: trailer %v, length %d", size, chunked, p.Trailer, p.ContentLength)
					}
					if chunked && p.Header.Get("Sent-Trailer-Check") != "yes" {
						t.Errorf("the request's trailer did not arrive: %v", p.Header)
					}
				}
			}
		})
	}
}

func TestHTTPKeepAlive(t *testing.T) {
	var connections atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(mirror))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	g := startHTTP(t, s.Listener.Addr().String(), func(c *Config) { c.Service.Workers = 1 })
	client, url := g.httpClient(t)
	reused := 0
	for i := range 20 {
		trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
			if info.Reused {
				reused++
			}
		}}
		r := must(http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", url+"/"+strconv.Itoa(i), nil))(t)
		p := must(client.Do(r))(t)
		_, err := io.Copy(io.Discard, p.Body)
		check(t, err)
		check(t, p.Body.Close())
		if want := "GET /" + strconv.Itoa(i); p.Header.Get("Mirror") != want {
			t.Errorf("answer %q, want %q", p.Header.Get("Mirror"), want)
		}
	}
	if reused != 19 || connections.Load() != 1 {
		t.Errorf("the client's connection was used again %d times, the server had %d connections", reused, connections.Load())
	}
}

// Requests that are sent without waiting are answered in order, however they are cut.
func TestHTTPPipelining(t *testing.T) {
	g := startHTTP(t, httpServerOf(t, mirror), nil)
	var text strings.Builder
	for i := range 30 {
		fmt.Fprintf(&text, "POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", i)
		fmt.Fprintf(&text, "POST /%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", i)
	}
	for _, step := range []int{1, 7, 1000, 1 << 20} {
		t.Run(strconv.Itoa(step), func(t *testing.T) {
			c := g.dial(t)
			go func() {
				for rest := text.String(); rest != ""; {
					n := min(step, len(rest))
					if _, err := io.WriteString(c, rest[:n]); err != nil {
						return
					}
					rest = rest[n:]
				}
			}()
			r := bufio.NewReader(c)
			for i := range 60 {
				p, body := answerOf(t, r, "POST")
				if want := fmt.Sprintf("POST /%d", i/2); p.Header.Get("Mirror") != want || body != "abc" {
					t.Fatalf("answer %q with %q, want %q", p.Header.Get("Mirror"), body, want)
				}
			}
		})
	}
}

func TestHTTPForwardedFields(t *testing.T) {
	server := httpServerOf(t, mirror)
	const sent = "GET /a HTTP/1.1\r\nHost: Example.com:8080\r\nX-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n" +
		"Connection: close, X-Secret\r\nX-Secret: y\r\nKeep-Alive: 3\r\nVia: 1.0 other\r\nX-Request-Id: mine\r\n\r\n"
	for _, test := range []struct{ mode, xff, forwarded string }{
		{"", "127.0.0.1", `for=127.0.0.1;proto=http;host="Example.com:8080"`},
		{ForwardedAppend, "192.0.2.1|127.0.0.1", `for=192.0.2.1|for=127.0.0.1;proto=http;host="Example.com:8080"`},
		{ForwardedOff, "192.0.2.1", "for=192.0.2.1"},
	} {
		t.Run(test.mode, func(t *testing.T) {
			g := startHTTP(t, server, func(c *Config) { c.Listeners[0].HTTP.Forwarded = test.mode })
			p, _ := ask(t, g.dial(t), sent)
			for name, want := range map[string]string{
				"X-Forwarded-For": test.xff, "Forwarded": test.forwarded, "X-Secret": "", "Keep-Alive": "",
				"Via": "1.0 other|1.1 fwx", "Host": "Example.com:8080", "X-Request-Id": p.Header.Get("X-Request-Id"),
			} {
				if got := strings.Join(p.Header["Sent-"+name], "|"); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if id := p.Header.Get("X-Request-Id"); id == "mine" || len(id) != 16 {
				t.Errorf("the request's id is %q", id)
			}
		})
	}
}

// What is malformed is answered with its status, in the form that Accept asks for, and
// nothing of it reaches the server.
func TestHTTPRefused(t *testing.T) {
	var asked atomic.Int64
	server := httpServerOf(t, func(w http.ResponseWriter, r *http.Request) { asked.Add(1) })
	g := startHTTP(t, server, func(c *Config) {
		c.Listeners[0].HTTP.MaxBody = 10
		c.Listeners[0].HTTP.MaxRequestLine = 100
		c.Listeners[0].HTTP.MaxFields = 5
	})
	for _, test := range []struct {
		text   string
		status int
	}{
		{"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{"GET / HTTP/1.1\nHost: a\n\n", 400},
		{"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n\r\n", 400},
		{"GET /" + strings.Repeat("a", 200), 414},
		{"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 6) + "\r\n", 431},
		{"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505},
		{"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n", 413},
		{"GET / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\n\r\n", 417},
	} {
		before := asked.Load()
		p, err := http.ReadResponse(bufio.NewReader(strings.NewReader(g.say(t, test.text+"GET / HTTP/1.1\r\nHost: a\r\n\r\n"))), nil)
		check(t, err)
		body := must(io.ReadAll(p.Body))(t)
		id := p.Header.Get("X-Request-Id")
		if p.StatusCode != test.status || !p.Close || id == "" || !strings.Contains(string(body), id) || !g.log.tells(id, test.status, " ") {
			t.Errorf("%.60q: %s, close %v, body %q", test.text, p.Status, p.Close, body)
		}
		if n := g.counter(t, metricRequests, fmt.Sprintf("%dxx", test.status/100)); n < 1 {
			t.Errorf("%.60q is not counted", test.text)
		}
		if asked.Load() != before {
			t.Errorf("%.60q: the server was asked", test.text)
		}
	}
	p, body := ask(t, g.dial(t), "GET / HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\nContent-Length: 99\r\n\r\n")
	if want := fmt.Sprintf(`{"status":413,"error":"Request Entity Too Large","id":%q}`+"\n", p.Header.Get("X-Request-Id")); body != want || p.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%q of type %s, want %q", body, p.Header.Get("Content-Type"), want)
	}
	for accept, kind := range map[string]string{
		"text/html,application/json": "text/html; charset=utf-8", "text/html;q=0.1, application/json": "application/json",
		"application/json; q=0.2, text/html ;q=0.3": "text/html; charset=utf-8", "application/problem+json": "application/json",
		"application/json;q=0": "text/html; charset=utf-8", "application/json;q=x": "text/html; charset=utf-8", "*/*": "text/html; charset=utf-8",
	} {
		p, body := ask(t, g.dial(t), "GET / HTTP/1.1\r\nHost: a\r\nAccept: "+accept+"\r\nContent-Length: 99\r\n\r\n")
		if got := p.Header.Get("Content-Type"); got != kind || strings.HasPrefix(body, "<!DOCTYPE html>") != strings.HasPrefix(kind, "text/html") {
			t.Errorf("Accept: %s: %q of type %s", accept, body, got)
		}
	}
	// A chunked body is cut off where it becomes too long, and the server sees that.
	if got := g.say(t, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n8\r\n12345678\r\n0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 413 ") {
		t.Errorf("%q", got)
	}
}

// serverSaying is a server that reads the head of a request on each connection and then
// says what it is told to, with what it has read.
func serverSaying(t *testing.T, say func(c *net.TCPConn, r *bufio.Reader)) string {
	t.Helper()
	return serve(t, func(c *net.TCPConn) { say(c, bufio.NewReader(c)) })
}

// readHead reads a request's head; false at the end of the stream.
func readHead(r *bufio.Reader) bool {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == "\r\n" {
			return true
		}
	}
}

// What servers answer, and what becomes of it.
func TestHTTPAnswers(t *testing.T) {
	for _, test := range []struct {
		name, method, answer string
		status               int // 0: the connection breaks off
		body                 string
	}{
		{"a length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, "abc"},
		{"until the close", "GET", "HTTP/1.1 200 OK\r\n\r\nabc", 200, "abc"},
		{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\n\r\nabc", 200, "abc"},
		{"chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", 200, "abc"},
		{"no body", "GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
		{"not modified", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, ""},
		{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 200, ""},
		{"more than the answer", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\n\r\n", 200, "abc"},
		{"an interim answer first", "GET", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, "abc"},
		{"nothing", "POST", "", 502, ""},
		{"half a head", "GET", "HTTP/1.1 200 OK\r\nContent", 502, ""},
		{"no HTTP", "GET", "SSH-2.0-OpenSSH\r\n", 502, ""},
		{"LF alone", "GET", "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", 502, ""},
		{"two lengths", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 502, ""},
		{"a length and chunks", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502, ""},
		{"a head without end", "GET", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 100), 502, ""},
		{"a switch of protocols unasked", "GET", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", 502, ""},
		{"less than the length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", 0, ""},
		{"chunks without end", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 0, ""},
		{"a broken chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx\r\n", 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, whole := range []bool{true, false} {
				server := serverSaying(t, func(c *net.TCPConn, r *bufio.Reader) {
					if !readHead(r) {
						return
					}
					text := test.answer
					if !whole {
						for ; len(text) > 1 && len(text) < 1000; text = text[1:] {
							_, _ = io.WriteString(c, text[:1])
						}
					}
					_, _ = io.WriteString(c, text) // the gateway may have had enough
				})
				g := startHTTP(t, server, nil)
				c := g.dial(t)
				_, err := io.WriteString(c, test.method+" / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
				check(t, err)
				r := bufio.NewReader(c)
				p, err := http.ReadResponse(r, &http.Request{Method: test.method})
				for err == nil && p.StatusCode/100 == 1 {
					p, err = http.ReadResponse(r, &http.Request{Method: test.method})
				}
				if err != nil {
					if test.status != 0 {
						t.Fatal(err)
					}
					continue
				}
				body, err := io.ReadAll(p.Body)
				switch {
				case test.status == 0:
					if err == nil {
						t.Errorf("%s %q: the client cannot see that it is incomplete", p.Status, body)
					}
				case err != nil || p.StatusCode != test.status:
					t.Errorf("%s %q: %v", p.Status, body, err)
				case test.status < 500 && string(body) != test.body:
					t.Errorf("body %q, want %q", body, test.body)
				case test.status >= 500 && !g.log.has(p.Header.Get("X-Request-Id")):
					t.Errorf("the log does not tell of it")
				}
			}
		})
	}
}

// A safe request is sent again when the server has ended the connection without an
// answer; another is not.
func TestHTTPRetry(t *testing.T) {
	server := serverSaying(t, func(c *net.TCPConn, r *bufio.Reader) {
		if readHead(r) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			readHead(r) // and go, whatever is asked
		}
	})
	for _, test := range []struct {
		method string
		status int
	}{{"GET", 200}, {"POST", 502}} {
		t.Run(test.method, func(t *testing.T) {
			g := startHTTP(t, server, func(c *Config) { c.Service.Workers = 1 })
			c := g.dial(t)
			r := bufio.NewReader(c)
			for _, want := range []int{200, test.status} {
				_, err := io.WriteString(c, test.method+" / HTTP/1.1\r\nHost: a\r\n\r\n")
				check(t, err)
				if p, _ := answerOf(t, r, test.method); p.StatusCode != want {
					t.Errorf("%s, want %d", p.Status, want)
				}
			}
		})
	}
}

// Nothing is asked again of which an answer has begun: a part of a head, or an interim one.
func TestHTTPNoRetryOfWhatIsAnswered(t *testing.T) {
	for _, begun := range []string{"H", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\nX: y\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n"} {
		m := newMachine(t)
		s := m.server(func(c *memoryConn, _ string) {
			c.say(begun)
			c.ended().Close()
		})
		m.start(nil)
		if got := m.get(getRequest); got != "502" || len(s.conns) != 1 {
			t.Errorf("behind %q: status %s, %d connections", begun, got, len(s.conns))
		}
	}
}

// A server that cannot be connected is passed over; when there is none the answer is 502.
func TestHTTPUnreachable(t *testing.T) {
	nobody := closedPort(t)
	g := startHTTP(t, nobody, func(c *Config) { c.Upstreams[0].Servers = append(c.Upstreams[0].Servers, httpServerOf(t, mirror)) })
	for range 4 {
		if p, body := ask(t, g.dial(t), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"); p.StatusCode != 200 || body != "abc" {
			t.Errorf("%s %q", p.Status, body)
		}
	}
	g = startHTTP(t, nobody, nil)
	p, _ := ask(t, g.dial(t), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	g.answered(t, p, 502, nobody)
}

// A server that does not let itself be connected in time is 504.
func TestHTTPConnectTimeout(t *testing.T) {
	server := fullBacklog(t)
	g := startHTTP(t, server, func(c *Config) { c.Upstreams[0].ConnectTimeout = 100 * time.Millisecond })
	p, _ := ask(t, g.dial(t), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	g.answered(t, p, 504, server)
}

// A server that has as many connections as it may is no server: 503, until it has a place.
func TestHTTPNoPlace(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	server := httpServerOf(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			close(entered)
			<-leave
		}
	})
	g := startHTTP(t, server, func(c *Config) { c.Upstreams[0].MaxConnections = 1 })
	first := g.dial(t)
	_, err := io.WriteString(first, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
	check(t, err)
	<-entered
	p, _ := ask(t, g.dial(t), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	g.answered(t, p, 503, "as many connections as it may")
	close(leave)
	if p, _ := answerOf(t, bufio.NewReader(first), "GET"); p.StatusCode != 200 {
		t.Error(p.Status)
	}
	if p, _ := ask(t, g.dial(t), "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); p.StatusCode != 200 {
		t.Error(p.Status)
	}
}

// A safe request that a server hangs up on goes to another server.
func TestHTTPRetryElsewhere(t *testing.T) {
	var hungUp atomic.Int64
	broken := serverSaying(t, func(_ *net.TCPConn, r *bufio.Reader) {
		if readHead(r) {
			hungUp.Add(1)
		}
	})
	g := startHTTP(t, broken, func(c *Config) {
		c.Service.Workers = 1
		c.Upstreams[0].Servers = append(c.Upstreams[0].Servers, httpServerOf(t, mirror))
	})
	for range 4 {
		if p, _ := ask(t, g.dial(t), "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); p.StatusCode != 200 {
			t.Error(p.Status)
		}
	}
	if hungUp.Load() == 0 {
		t.Error("the server that hangs up was not asked")
	}
}

// Requests go by a field of theirs to the same server each, and without it by the
// client's address.
func TestHTTPHashedByField(t *testing.T) {
	named := func(name string) string {
		return httpServerOf(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })
	}
	g := startHTTP(t, named("a"), func(c *Config) {
		c.Upstreams[0].Servers = append(c.Upstreams[0].Servers, named("b"), named("c"), named("d"))
		c.Upstreams[0].Balance, c.Upstreams[0].Hash = balance.Hash, "header:X-User"
	})
	servers := map[string]bool{}
	for user := range 20 {
		want := ""
		for range 3 {
			_, got := ask(t, g.dial(t), fmt.Sprintf("GET / HTTP/1.1\r\nHost: a\r\nx-user: %d\r\n\r\n", user))
			if want == "" {
				want = got
			}
			if servers[got] = true; got != want {
				t.Errorf("user %d: server %s and %s", user, want, got)
			}
		}
	}
	if len(servers) < 2 {
		t.Errorf("all users have the same server of four: %v", servers)
	}
	clear(servers)
	for range 5 {
		_, got := ask(t, g.dial(t), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		servers[got] = true
	}
	if len(servers) != 1 {
		t.Errorf("an address has %v", servers)
	}
	hosts := startHTTP(t, named("a"), func(c *Config) {
		c.Upstreams[0].Servers = append(c.Upstreams[0].Servers, named("b"), named("c"), named("d"))
		c.Upstreams[0].Balance, c.Upstreams[0].Hash = balance.Hash, "header:Host"
	})
	clear(servers)
	for i := range 8 {
		_, want := ask(t, hosts.dial(t), fmt.Sprintf("GET / HTTP/1.1\r\nHost: h%d.example\r\n\r\n", i))
		servers[want] = true
		for _, spelling := range []string{"H%d.example", "h%d.Example.", "h%d.example:80", "h%d.example.:"} {
			host := fmt.Sprintf(spelling, i)
			if _, got := ask(t, hosts.dial(t), "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n"); got != want {
				t.Errorf("%s: server %s, want %s", host, got, want)
			}
		}
	}
	if len(servers) < 2 {
		t.Errorf("all hosts have the same server of four: %v", servers)
	}
	for hash, want := range map[string]string{"cookie": `wants "address", or "header:"`, "header:a b": "is not the name of a field", "header:": "is not the name of a field", "address": ""} {
		config := httpConfig("auto", "127.0.0.1:1")
		config.Upstreams[0].Balance, config.Upstreams[0].Hash = balance.Hash, hash
		if _, err := New(config, nil); want == "" && err != nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: %v", hash, err)
		}
		config.Upstreams[0].Balance = balance.RoundRobin
		if _, err := New(config, nil); err == nil || !strings.Contains(err.Error(), `hash: is for balance = "hash"`) {
			t.Errorf("%s: %v", hash, err)
		}
	}
}

func TestHTTPTimeouts(t *testing.T) {
	silent := serverSaying(t, func(_ *net.TCPConn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
	g := startHTTP(t, silent, func(c *Config) {
		h := c.Listeners[0].HTTP
		h.HeaderTimeout, h.BodyTimeout, h.ResponseTimeout = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
		h.BodyRate = 1_000_000
	})
	for _, test := range []struct{ name, text, want string }{
		{"a head", "GET / HTTP/1.1\r\nHost:", "HTTP/1.1 408 "},
		{"a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", "HTTP/1.1 408 "},
		{"an answer", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 504 "},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := g.say(t, test.text); !strings.HasPrefix(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
	idle := startHTTP(t, silent, func(c *Config) { c.Listeners[0].HTTP.KeepAlive = 50 * time.Millisecond })
	if got := idle.say(t, ""); got != "" {
		t.Errorf("without a request: %q", got)
	}
	// Clients that send a byte after the other are cut off all the same.
	for _, text := range []string{"GET / HTTP/1.1\r\nHost: a\r\nX: ", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"} {
		before := g.counter(t, metricBytes, "upstream")
		c := g.dial(t)
		_, err := io.WriteString(c, text)
		check(t, err)
		sending := make(chan struct{})
		go func() { // each when the one before has arrived
			defer close(sending)
			for sent := len(text); ; sent++ {
				for g.counter(t, metricBytes, "upstream") < before+float64(sent) {
					if g.Connections() == 0 {
						return
					}
				}
				if _, err := c.Write([]byte("x")); err != nil {
					return
				}
			}
		}()
		if got, _ := io.ReadAll(c); !bytes.HasPrefix(got, []byte("HTTP/1.1 408 ")) {
			t.Errorf("%q", got)
		}
		c.Close()
		<-sending
		eventually(t, "the connection has ended", func() bool { return g.Connections() == 0 })
	}
}

func TestHTTPExpectContinue(t *testing.T) {
	g := startHTTP(t, httpServerOf(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		mirror(w, r)
	}), nil)
	c := g.dial(t)
	r := bufio.NewReader(c)
	_, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
	check(t, err)
	if line := must(r.ReadString('\n'))(t); line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q", line)
	}
	must(r.ReadString('\n'))(t)
	_, err = io.WriteString(c, "abc")
	check(t, err)
	if p, body := answerOf(t, r, "POST"); p.StatusCode != 200 || body != "abc" {
		t.Errorf("%s %q", p.Status, body)
	}
	// An early refusal ends the connection, since the body may come or not.
	if p, _ := ask(t, g.dial(t), "POST /no HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"); p.StatusCode != 403 || !p.Close {
		t.Errorf("%s, close %v", p.Status, p.Close)
	}
}

// waiting100 sends the head of a request that waits for 100 Continue.
func waiting100(t *testing.T, c net.Conn, fields string) {
	t.Helper()
	_, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"+fields+"\r\n")
	check(t, err)
}

// A client that waits for 100 Continue has it from the gateway when a filter wants the body
// before the server is asked, and the server is not asked for another.
func TestHTTPExpectContinueOfGateway(t *testing.T) {
	for _, overflow := range []Overflow{OverflowRefuse, OverflowPass, OverflowSpool} {
		for _, held := range []bool{false, true} {
			f := spooling(1000, func(*Exchange, *Spool) Verdict { return Pass })
			f.request = func(x *Exchange) Verdict {
				check(t, x.WholeBody(Upstream, 1000, overflow))
				if held {
					return later(x, Upstream, Pass)
				}
				return Pass
			}
			c := startSpool(t, "auto", nil, f).dial(t)
			r := bufio.NewReader(c)
			for _, size := range []int{3, 1000, 5000} {
				for _, framing := range []string{"length", "chunks"} {
					if overflow == OverflowRefuse && size > 1000 {
						continue // TestHTTPFilterOverflow
					}
					name := fmt.Sprintf("overflow %d, held %v, %d bytes, %s", overflow, held, size, framing)
					fields, body := framed(framing, strings.Repeat("x", size))
					waiting100(t, c, fields)
					head := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))
					if _, err := io.ReadFull(r, head); err != nil || string(head) != "HTTP/1.1 100 Continue\r\n\r\n" {
						t.Fatalf("%s: %q, %v", name, head, err)
					}
					_, err := io.WriteString(c, body)
					check(t, err)
					p, got := answerOf(t, r, "POST")
					if p.StatusCode != 200 || got != strings.Repeat("x", size) || p.Header.Get("Sent-Expect") != "" || p.Close {
						t.Errorf("%s: %s with %d bytes, the server was asked to expect %q, close %v", name, p.Status, len(got), p.Header.Get("Sent-Expect"), p.Close)
					}
				}
			}
		}
	}
	// A client of HTTP/1.0 does not know of it (RFC 9110, 10.1.1).
	f := spooling(1000, nil)
	got := startSpool(t, "auto", nil, f).say(t, "POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc")
	if !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.HasSuffix(got, "\r\n\r\nabc") {
		t.Errorf("%q", got)
	}
}

// Who waits for 100 Continue and is answered by a filter has no 100. What comes of the
// body, or of a next request, is not taken for one: the connection ends behind the answer.
func TestHTTPExpectContinueAnswered(t *testing.T) {
	whole := wholly(Upstream, 1000, OverflowRefuse)
	for _, held := range []bool{false, true} {
		f := &testHTTP{request: func(x *Exchange) Verdict {
			v := Answer(401, []Field{{"X-By", "filter"}}, []byte("who?"))
			if held {
				return later(x, Upstream, v)
			}
			return v
		}}
		for name, filters := range map[string][]HTTPFilter{"alone": {f}, "behind one that wants the body": {whole, f}} {
			g := startHTTP(t, httpServerOf(t, func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") }), nil, attaching(filters...))
			for _, fields := range []string{"Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n"} {
				c := g.dial(t)
				r := bufio.NewReader(c)
				waiting100(t, c, fields)
				p, body := answerOf(t, r, "POST")
				if p.StatusCode != 401 || body != "who?" || !p.Close {
					t.Errorf("held %v, %s, %s: %s %q, close %v", held, name, fields, p.Status, body, p.Close)
				}
				_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") // as if it were the body, or is it?
				check(t, err)
				if rest := string(must(io.ReadAll(r))(t)); rest != "" {
					t.Errorf("held %v, %s, %s: %q behind the answer", held, name, fields, rest)
				}
			}
			c := g.dial(t)
			r := bufio.NewReader(c)
			for range 2 { // without a body there is nothing to wait for
				waiting100(t, c, "Content-Length: 0\r\n")
				if p, body := answerOf(t, r, "POST"); p.StatusCode != 401 || body != "who?" || p.Close {
					t.Errorf("held %v, %s, without a body: %s %q, close %v", held, name, p.Status, body, p.Close)
				}
			}
		}
	}
}

// A server that answers before it has had the whole request is heard.
func TestHTTPEarlyAnswer(t *testing.T) {
	server := serverSaying(t, func(c *net.TCPConn, r *bufio.Reader) {
		if readHead(r) {
			_, _ = io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
			_ = c.CloseWrite()
			_, _ = io.Copy(io.Discard, io.LimitReader(r, 1<<20))
		}
	})
	g := startHTTP(t, server, nil)
	c := g.dial(t)
	go func() {
		_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n")
		_, _ = c.Write(make([]byte, 5_000_000)) // it will not all be taken
	}()
	if p, body := answerOf(t, bufio.NewReader(c), "POST"); p.StatusCode != 403 || body != "no" || !p.Close {
		t.Errorf("%s %q, close %v", p.Status, body, p.Close)
	}
}

// A client that leaves takes the server's connection with it.
func TestHTTPClientLeaves(t *testing.T) {
	asked, gone := make(chan struct{}), make(chan struct{})
	server := serverSaying(t, func(_ *net.TCPConn, r *bufio.Reader) {
		readHead(r)
		close(asked)
		_, _ = io.Copy(io.Discard, r)
		close(gone)
	})
	g := startHTTP(t, server, nil)
	c := g.dial(t)
	_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	check(t, err)
	<-asked
	check(t, c.SetLinger(0))
	check(t, c.Close())
	<-gone
	eventually(t, "the connection has ended", func() bool { return g.Connections() == 0 })
	if !g.log.has("the client closed the connection") {
		t.Error("the log does not tell of it")
	}
}

func TestHTTPUpgrade(t *testing.T) {
	server := serverSaying(t, func(c *net.TCPConn, r *bufio.Reader) {
		q, err := http.ReadRequest(r)
		if err != nil || q.Header.Get("Upgrade") != "echo" || !strings.EqualFold(q.Header.Get("Connection"), "upgrade") {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello ")
		_, _ = io.Copy(struct{ io.Writer }{c}, r)
	})
	g := startHTTP(t, server, func(c *Config) { c.Listeners[0].HTTP.Upgrades = []string{"echo"} })
	c := g.dial(t)
	data := random(300_000)
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		if err == nil {
			_, err = c.Write(data)
		}
		if err == nil {
			err = c.CloseWrite()
		}
		sent <- err
	}()
	r := bufio.NewReader(c)
	p := must(http.ReadResponse(r, nil))(t)
	if p.StatusCode != 101 || p.Header.Get("Upgrade") != "echo" {
		t.Fatalf("%s %v", p.Status, p.Header)
	}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, append([]byte("hello "), data...)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	check(t, <-sent)
}

func TestHTTPOldClients(t *testing.T) {
	g := startHTTP(t, httpServerOf(t, mirror), nil)
	if got := g.say(t, "GET /?chunked&size=3 HTTP/1.0\r\n\r\n"); !strings.Contains(got, "Connection: close\r\n") ||
		strings.Contains(got, "Transfer-Encoding") || !strings.HasSuffix(got, "\r\n\r\n"+string(random(3))) {
		t.Errorf("%q", got)
	}
	if got := g.say(t, "GET http://a.example/x HTTP/1.0\r\n\r\n"); !strings.Contains(got, "Sent-Host: a.example\r\n") {
		t.Errorf("%q", got)
	}
	c := g.dial(t)
	for range 2 {
		if p, _ := ask(t, c, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"); p.Close || p.Header.Get("Connection") != "keep-alive" {
			t.Errorf("%v", p.Header)
		}
	}
}

func TestHTTPRoutes(t *testing.T) {
	named := func(name string) string {
		return httpServerOf(t, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s %s", name, r.Header.Get("X-Set"), strings.Join(r.Header["X-Add"], ",")) //nolint:gosec // no browser sees it
		})
	}
	g := startHTTP(t, named("out"), func(c *Config) {
		c.Upstreams = append(c.Upstreams, UpstreamConfig{Name: "api", Servers: []string{named("api")}})
		c.Listeners[0].Routes = []RouteConfig{
			{Path: "/admin", Status: 403},
			{Path: "/hello", Body: "hello", Type: "text/x"},
			{Host: "old.example", Redirect: "https://new.example{path}", Status: 308},
			{
				Host: "*.api.example", Methods: []string{"GET"}, Upstream: "api",
				Request:  FieldsConfig{Set: map[string]string{"X-Set": "set"}, Add: map[string]string{"X-Add": "two"}},
				Response: FieldsConfig{Remove: []string{"Date"}, Set: map[string]string{"X-Frame-Options": "DENY"}},
			},
		}
	})
	for _, test := range []struct {
		method, path, host string
		status             int
		want               string
	}{
		{"GET", "/", "x", 200, "out  one"},
		{"GET", "/", "a.API.example:80", 200, "api set one,two"},
		{"POST", "/", "a.api.example", 200, "out  one"},
		{"GET", "/", "api.example", 200, "out  one"},
		{"GET", "/", "a.api.example.:80", 200, "api set one,two"},
		{"GET", "/", "a.api.example.:", 200, "api set one,two"},
		{"GET", "/", ".api.example", 400, ""},
		{"GET", "/p?q", "old.example", 308, "https://new.example/p?q"},
		{"GET", "/p?q", "OLD.example.", 308, "https://new.example/p?q"},
		{"GET", "/p?q", "old.example..", 400, ""},
		{"GET", "/;x/admin;y", "x", 403, ""},
		{"GET", `/\admin`, "x", 403, ""},
		{"GET", "/x/..;/admin", "x", 400, ""},
		{"GET", "/hello/x", "x", 200, "hello"},
		{"GET", "/admin/x", "x", 403, ""},
		{"GET", "/x/../admin", "x", 403, ""},
		{"GET", "/%61dmin", "x", 403, ""},
		{"GET", "//admin", "x", 403, ""},
		{"GET", "/./admin", "x", 403, ""},
		{"GET", "/x%2f..%2fadmin", "x", 400, ""}, // servers differ in what it is
	} {
		p, body := ask(t, g.dial(t), test.method+" "+test.path+" HTTP/1.1\r\nHost: "+test.host+"\r\nX-Add: one\r\n\r\n")
		if test.status/100 == 3 {
			body = p.Header.Get("Location")
		}
		if p.StatusCode != test.status || test.want != "" && body != test.want {
			t.Errorf("%s %s of %s: %s %q", test.method, test.path, test.host, p.Status, body)
		}
		if strings.HasPrefix(test.want, "api") && (p.Header.Get("X-Frame-Options") != "DENY" || p.Header.Get("Date") != "") {
			t.Errorf("the fields of the response: %v", p.Header)
		}
	}
}

func TestHTTPAccessLogAndMetrics(t *testing.T) {
	g := startHTTP(t, httpServerOf(t, mirror), func(c *Config) { c.Listeners[0].HTTP.AccessLog = true })
	p, _ := ask(t, g.dial(t), "POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
	line := regexp.MustCompile(`msg=request listener=in connection=\d+ id=` + p.Header.Get("X-Request-Id") +
		` client=\S+ method=POST host=x path="?/a\?b"? status=200 bytes_up=3 bytes_down=3 took=\S+ server=`)
	eventually(t, "the request is in the log", func() bool {
		g.log.mu.Lock()
		defer g.log.mu.Unlock()
		return line.Match(g.log.text.Bytes())
	})
	found := map[string]bool{}
	for _, family := range g.Measure(t.Context()) {
		for _, s := range family.Samples {
			if s.Value > 0 || s.Distribution != nil && s.Distribution.Count > 0 {
				found[family.Name] = true
			}
		}
	}
	for _, name := range []string{metricRequests, metricSeconds, metricServers} {
		if !found[name] {
			t.Errorf("%s has counted nothing", name)
		}
	}
}

// The end of the service lets a request finish, and ends connections without one.
func TestHTTPShutdown(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	g := startHTTP(t, httpServerOf(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(asked)
			<-answer
		}
		mirror(w, r)
	}), nil)
	idle, busy := g.dial(t), g.dial(t)
	ask(t, idle, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	_, err := io.WriteString(busy, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	check(t, err)
	<-asked
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = g.Shutdown(t.Context()) // g.stop tells of it
	}()
	if rest, err := io.ReadAll(idle); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
	close(answer)
	if p, _ := answerOf(t, bufio.NewReader(busy), "GET"); p.StatusCode != 200 || !p.Close {
		t.Errorf("%s, close %v", p.Status, p.Close)
	}
	busy.Close()
	idle.Close()
	<-stopped
}

// In the steady state a request allocates nothing.
func TestHTTPAllocatesNothing(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the system calls of iocp allocate")
	}
	const question, reply = "GET /a HTTP/1.1\r\nHost: a\r\nUser-Agent: x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
	server := serve(t, func(c *net.TCPConn) {
		buf := make([]byte, 4<<10)
		n := 0
		for {
			m, err := c.Read(buf[n:])
			if err != nil {
				return
			}
			if n += m; bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
				n = 0
				if _, err := c.Write([]byte(reply)); err != nil {
					return
				}
			}
		}
	})
	for _, backend := range completion.Backends() {
		t.Run(backend, func(t *testing.T) {
			config := httpConfig(backend, server)
			config.Service.Workers = 1
			g := startGateway(t, config)
			c := g.dial(t)
			buf := make([]byte, 4<<10)
			request := []byte(question)
			run := func() {
				if _, err := c.Write(request); err != nil {
					t.Fatal(err)
				}
				for n := 0; !bytes.HasSuffix(buf[:n], []byte("\r\n\r\nabc")); {
					m, err := c.Read(buf[n:])
					if err != nil {
						t.Fatal(err)
					}
					n += m
				}
			}
			run()
			if n := testing.AllocsPerRun(200, run); n > 0 && !fwxtest.RaceEnabled {
				t.Errorf("%v allocations for each request", n)
			}
		})
	}
}
