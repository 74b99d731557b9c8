package framework

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fwx/framework/completion/completiontest"
	"fwx/framework/fwxtest"
	"fwx/framework/wire/http1"
)

// tells reports whether the log has a line about a request, with its status and a reason.
func (l *logBuffer) tells(id string, status int, reason string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := regexp.MustCompile(fmt.Sprintf(`(?m)^.* id=%s .* status=%d .*reason=.*$`, id, status)).Find(l.text.Bytes())
	return line != nil && bytes.Contains(line, []byte(reason))
}

// answered checks that the log tells of an answer that the gateway gave, and why, and that
// it was counted.
func (g *gateway) answered(t *testing.T, p *http.Response, status int, reason string) {
	t.Helper()
	id := p.Header.Get("X-Request-Id")
	if p.StatusCode != status {
		t.Errorf("%s, want %d", p.Status, status)
	}
	eventually(t, "the log tells why: "+reason, func() bool { return g.log.tells(id, status, reason) })
	if n := g.counter(t, metricRequests, fmt.Sprintf("%dxx", status/100)); n < 1 {
		t.Errorf("%s is not counted", p.Status)
	}
}

// What a server says besides its answer is nobody's answer: the connection on which it was
// said is dropped.
func TestHTTPServerSaysMore(t *testing.T) {
	const stale = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale"
	for _, test := range []struct {
		name string
		more string // behind the first answer, when it has been taken
	}{
		{"a second answer", stale},
		{"noise", "x"},
		{"an interim answer", "HTTP/1.1 100 Continue\r\n\r\n"},
		{"a request time-out", "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var connections atomic.Int64
			say, dropped := make(chan struct{}), make(chan struct{})
			server := serverSaying(t, func(c *net.TCPConn, r *bufio.Reader) {
				first := connections.Add(1) == 1
				if !readHead(r) {
					return
				}
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfresh")
				if !first {
					return
				}
				<-say
				_, _ = io.WriteString(c, test.more)
				if n, _ := io.Copy(io.Discard, r); n > 0 {
					t.Errorf("%d bytes were sent on the connection", n)
				}
				close(dropped)
			})
			g := startHTTP(t, server, func(c *Config) { c.Service.Workers = 1 })
			c := g.dial(t)
			for i := range 2 {
				if p, body := ask(t, c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); p.StatusCode != 200 || body != "fresh" {
					t.Errorf("%s %q", p.Status, body)
				}
				if i == 0 {
					close(say)
					<-dropped
				}
			}
			if connections.Load() != 2 || !g.log.has("a server sent data after its response") {
				t.Errorf("%d connections", connections.Load())
			}
		})
	}
}

// Malformed, contradictory and oversized answers are 502, with a reason.
func TestHTTPBadAnswers(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, test := range []struct{ name, answer, reason string }{
		{"several lengths that are the same", ok + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "Content-Length"},
		{"a negative length", ok + "Content-Length: -1\r\n\r\n", "Content-Length"},
		{"a list of lengths", ok + "Content-Length: 3, 3\r\n\r\nabc", "Content-Length"},
		{"a length and a coding", ok + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", "Content-Length"},
		{"chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding"},
		{"a coding that is unknown", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "coding"},
		{"chunked twice", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding"},
		{"a status of two digits", "HTTP/1.1 99 X\r\n\r\n", "status"},
		{"a status that is no number", "HTTP/1.1 2x0 OK\r\n\r\n", "status"},
		{"another version", "HTTP/2.0 200 OK\r\n\r\n", "version"},
		{"a folded line", ok + "X: a\r\n b\r\nContent-Length: 0\r\n\r\n", "malformed response"},
		{"a space before a colon", ok + "X : a\r\nContent-Length: 0\r\n\r\n", "name"},
		{"a NUL", ok + "X: a\x00\r\nContent-Length: 0\r\n\r\n", ""},
		{"a status line that is too long", "HTTP/1.1 200 " + strings.Repeat("x", 20_000) + "\r\n\r\n", "long"},
		{"too many fields", ok + strings.Repeat("X: y\r\n", 200) + "\r\n", "fields"},
		{"the end of a switch that was not asked for", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "without being asked"},
		{"interim answers without end", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", maxInterims+1), "interim"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := serverSaying(t, func(c *net.TCPConn, r *bufio.Reader) {
				if readHead(r) {
					_, _ = io.WriteString(c, test.answer) // the gateway may have had enough
					_, _ = io.Copy(io.Discard, r)         // it is the gateway that ends
				}
			})
			g := startHTTP(t, server, nil)
			c := g.dial(t)
			_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			check(t, err)
			r := bufio.NewReader(c)
			p, _ := answerOf(t, r, "GET")
			for p.StatusCode == 102 {
				p, _ = answerOf(t, r, "GET")
			}
			g.answered(t, p, 502, test.reason)
		})
	}
}

// A server that breaks its connection off: before its answer an idempotent request is sent again, in
// its head it is 502, in its body the client sees that it is incomplete.
func TestHTTPServerResets(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
	for _, test := range []struct {
		name, method string
		said         int // of the answer, before the reset
		times        int // that the server resets
		status       int // 0: the connection breaks off
	}{
		{"before the head, once", "GET", 0, 1, 200},
		{"before the head, three times", "OPTIONS", 0, maxRetries, 200},
		{"before the head, always", "HEAD", 0, maxRetries + 1, 502},
		{"before the head of what is not idempotent", "POST", 0, 1, 502},
		{"in the head", "POST", 20, 1, 502}, // an idempotent one is sent again where the reset overtakes the head, as on Windows
		{"in the body", "GET", len(answer) - 1, 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var left atomic.Int64
			left.Store(int64(test.times))
			shown := make(chan struct{}) // the head, to the client
			server := serverSaying(t, func(c *net.TCPConn, r *bufio.Reader) {
				if !readHead(r) {
					return
				}
				text := answer
				reset := left.Add(-1) >= 0
				if reset {
					text = answer[:test.said]
				}
				if test.method == "HEAD" && !reset {
					text = strings.TrimSuffix(answer, "abc")
				}
				_, _ = io.WriteString(c, text)
				if test.status == 0 {
					<-shown
				}
				if reset {
					_ = c.SetLinger(0) // it is open
				}
			})
			g := startHTTP(t, server, func(c *Config) { c.Service.Workers = 1 })
			c := g.dial(t)
			_, err := io.WriteString(c, test.method+" / HTTP/1.1\r\nHost: a\r\n\r\n")
			check(t, err)
			p, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: test.method})
			close(shown)
			if err == nil {
				_, err = io.ReadAll(p.Body)
			}
			switch {
			case test.status == 0:
				if err == nil {
					t.Error("the client cannot see that it is incomplete")
				}
				eventually(t, "the log tells of it", func() bool { return g.log.has("its response was complete") || g.log.has("reset") })
			case err != nil:
				t.Error(err)
			case test.status == 502:
				g.answered(t, p, 502, server)
			case p.StatusCode != test.status:
				t.Error(p.Status)
			}
		})
	}
}

// A server, or a disk, that stops in the midst of it: 504, or the client sees that the answer
// is incomplete.
func TestHTTPStops(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "file"), random(100_000), 0o600))
	const get, post = "GET /file HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n"
	body := strings.Repeat("x", 3000)
	for _, test := range []struct {
		name, text, answer string
		status             int // 0: the connection breaks off
		filter             HTTPFilter
		reason             string
	}{
		{"a server in its head", get, "HTTP/1.1 200 OK\r\nContent", 504, nil, "the server took too long"},
		{"a server in its body", get, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na", 0, nil, "the server took too long"},
		{"a server between interim answers", get, "HTTP/1.1 103 Early Hints\r\n\r\n", 504, nil, "the server took too long"},
		{"a disk from which the answer comes", get, "", 0, answeringFiles(t, dir, 200, nil, nil), "the disk took too long"},
		{"a disk to which the body goes", post + body, "", 504, spooling(1000, nil), "the disk took too long"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := serverSaying(t, func(c *net.TCPConn, r *bufio.Reader) {
				if readHead(r) {
					_, _ = io.WriteString(c, test.answer)
					_, _ = io.Copy(io.Discard, r)
				}
			})
			g := startHTTP(t, server, func(c *Config) {
				c.Listeners[0].HTTP.ResponseTimeout = 50 * time.Millisecond
				c.Listeners[0].HTTP.Spool.Dir = dir
				if test.filter != nil {
					c.Filters = []FilterConfig{{Name: "a", Class: ClassMiddle, Filter: attaching(test.filter)}}
					c.Listeners[0].Filters = []string{"a"}
					c.OpenPort = completiontest.StallingFiles(1, time.Hour, nil)
				}
			})
			c := g.dial(t)
			_, err := io.WriteString(c, test.text)
			check(t, err)
			r := bufio.NewReader(c)
			p := must(http.ReadResponse(r, nil))(t)
			if p.StatusCode == 103 {
				p = must(http.ReadResponse(r, nil))(t)
			}
			if test.status != 0 {
				g.answered(t, p, test.status, test.reason)
				return
			}
			if _, err := io.ReadAll(p.Body); err == nil {
				t.Error("the client cannot see that it is incomplete")
			}
			eventually(t, "the log tells why", func() bool { return g.log.tells(p.Header.Get("X-Request-Id"), 200, test.reason) })
		})
	}
}

// A client that leaves, in whatever phase: the exchange ends, and so does the connection
// to the server that it has, and the log tells of it.
func TestHTTPClientLeavesAnywhere(t *testing.T) {
	const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
	for _, test := range []struct {
		name, sent string
		answer     string // of the server, to what has come
		status     int    // that is logged; -1: nothing is
		half       bool   // a client that has ended its stream may still wait for its answer
	}{
		{"in the head", "GET / HTTP/1.1\r\nHost:", "", 0, false},
		{"in the body", post + "abc", "", 0, false},
		{"before the answer", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", 499, true},
		{"in the answer's head", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Le", 499, true},
		{"in the answer's body", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\nabc", 200, true},
		{"in a tunnel", upgradeRequest, switching("websocket", acceptField), -1, false},
	} {
		for _, reset := range []bool{true, false} {
			if test.half && !reset {
				continue
			}
			t.Run(fmt.Sprintf("%s, reset %v", test.name, reset), func(t *testing.T) {
				came, gone := make(chan struct{}), make(chan struct{})
				server := serverSaying(t, func(c *net.TCPConn, r *bufio.Reader) {
					if readHead(r) {
						_, _ = io.WriteString(c, test.answer)
						close(came)
						_, _ = io.Copy(io.Discard, r)
						close(gone)
					}
				})
				g := startHTTP(t, server, nil)
				c := g.dial(t)
				_, err := io.WriteString(c, test.sent)
				check(t, err)
				asked := strings.Contains(test.sent, "\r\n\r\n")
				if asked {
					<-came
				} else {
					eventually(t, "the head has begun", func() bool { return g.counter(t, metricActive, "in") == 1 })
				}
				if strings.HasSuffix(test.answer, "abc") || test.status < 0 {
					_, err := http.ReadResponse(bufio.NewReader(c), nil)
					check(t, err)
				}
				if reset {
					check(t, c.SetLinger(0))
				}
				check(t, c.Close())
				if asked {
					<-gone
				}
				eventually(t, "the connection has ended", func() bool { return g.Connections() == 0 && g.counter(t, metricActive, "in") == 0 })
				if test.status >= 0 && !g.log.has("request failed") {
					t.Error("the log does not tell of it")
				}
				if test.status > 0 && !g.log.has(fmt.Sprintf("status=%d", test.status)) {
					t.Errorf("the log has no status %d", test.status)
				}
			})
		}
	}
}

// A client that has sent all of its request may say that it sends no more: it is answered.
func TestHTTPClientSendsNoMore(t *testing.T) {
	var held *Exchange
	holding := make(chan struct{}, 2)
	f := &testHTTP{request: func(x *Exchange) Verdict {
		held = x
		holding <- struct{}{}
		return Hold
	}}
	for name, filters := range map[string][]Filter{"held": {attaching(f)}, "not held": nil} {
		t.Run(name, func(t *testing.T) {
			g := startHTTP(t, httpServerOf(t, mirror), func(c *Config) { c.Service.Workers = 1 }, filters...)
			for _, text := range []string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"} {
				c := g.dial(t)
				_, err := io.WriteString(c, text)
				check(t, err)
				check(t, c.CloseWrite())
				if filters != nil {
					<-holding
					check(t, g.Port().Workers()[0].Post(func() { _ = held.Resume(Upstream, Pass) })) // the answer tells
				}
				if p, _ := answerOf(t, bufio.NewReader(c), "GET"); p.StatusCode != 200 {
					t.Errorf("%.5s: %s", text, p.Status)
				}
			}
		})
	}
}

// A fault of the gateway itself, on the server's side, is 502 for the one request and
// nothing for the others.
func TestHTTPGatewayPanics(t *testing.T) {
	g := startHTTP(t, httpServerOf(t, mirror), func(c *Config) { c.Service.Workers = 1 })
	routes := func(list ...*route) {
		check(t, g.Port().Workers()[0].Call(func() { g.current.Load().listeners[0].routes = list }))
	}
	times := 0
	faulty := func(*http1.Header, string, string) {
		if times++; times%2 == 1 {
			panic("a fault")
		}
	}
	routes(&route{response: []fieldChange{{apply: faulty}}})
	p, _ := ask(t, g.dial(t), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if g.answered(t, p, 502, "the gateway panicked"); !p.Close || !g.log.has("a fault") {
		t.Errorf("%s, close %v", p.Status, p.Close)
	}
	// And if it cannot even be said, the connection ends.
	routes(&route{response: []fieldChange{{apply: func(*http1.Header, string, string) { panic("a fault") }}}})
	c := g.dial(t)
	_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	check(t, err)
	wantReset(t, c)
	routes()
	if p, _ := ask(t, g.dial(t), "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); p.StatusCode != 200 {
		t.Error(p.Status)
	}
	eventually(t, "the connections have ended", func() bool { return g.counter(t, metricActive, "in") == 0 })
}

// Thousands of clients that send a byte a second are cut off, and another is answered
// meanwhile. TestHTTPBystander sees that it is while all of them are under way.
func TestHTTPSlowClients(t *testing.T) {
	t.Parallel()
	const many = 5000
	clients, limit := 300, 2*time.Second
	if fwxtest.Long() && defaultConnectionLimit() > many {
		clients, limit = many, 6*time.Second
	}
	g := startHTTP(t, httpServerOf(t, mirror), func(c *Config) {
		c.Listeners[0].HTTP.HeaderTimeout, c.Listeners[0].HTTP.BodyTimeout = limit, limit
	})
	bystander := g.dial(t)
	cut := make(chan string, clients)
	all := make([]net.Conn, clients)
	for i := range all {
		all[i] = g.dial(t)
		_, err := io.WriteString(all[i], slowRequests[i%2])
		check(t, err)
		go func() {
			got, _ := io.ReadAll(io.LimitReader(all[i], 12))
			cut <- string(got)
		}()
	}
	pace := time.NewTicker(time.Second)
	defer pace.Stop()
	answers := map[string]int{}
	for n := 0; n < clients; {
		select {
		case got := <-cut:
			answers[got]++
			n++
		case <-pace.C:
			for i := range all {
				_, _ = all[i].Write([]byte("x")) // it may have been cut off
			}
			if p, _ := ask(t, bystander, getRequest); p.StatusCode != 200 {
				t.Error(p.Status)
			}
		}
	}
	if answers["HTTP/1.1 408"] != clients {
		t.Errorf("%d of %d were cut off: %v", answers["HTTP/1.1 408"], clients, answers)
	}
	if n := g.counter(t, metricRequests, "4xx"); n != float64(clients) {
		t.Errorf("%v are counted", n)
	}
}

// slowRequests are requests of which the rest comes slowly: a head and a body.
var slowRequests = [2]string{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: "}

// A client is answered while a thousand slow ones are under way, all of them.
func TestHTTPBystander(t *testing.T) {
	const clients = 1000
	m := newMachine(t)
	s := m.server(nil)
	s.answer = func(c *memoryConn, head string) {
		if strings.HasPrefix(head, "GET") {
			c.say(okAnswer)
		}
	}
	m.start(nil)
	bystander := m.client()
	all := make([]*memoryConn, clients)
	for i := range all {
		all[i] = m.client()
		all[i].say(slowRequests[i%2])
	}
	for second := range 8 {
		m.pass(time.Second)
		for _, c := range all {
			c.say("x")
		}
		m.settle()
		got := statusOf(m.ask(bystander, getRequest))
		if n := m.counter(t, metricActive, "in"); got != "200" || n != clients {
			t.Errorf("after %d s the answer was %q, beside %v others", second, got, n)
		}
	}
	m.pass(defaultBodyTimeout)
	for _, c := range all {
		if got := statusOf(c.heard()); got != "408" {
			t.Fatalf("a slow one was answered %q", got)
		}
	}
}
