package framework

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// A worker keeps only so many idle connections to a server.
func TestHTTPPoolIsBounded(t *testing.T) {
	m := newMachine(t)
	var waiting []*memoryConn
	s := m.server(func(c *memoryConn, _ string) { waiting = append(waiting, c) })
	m.start(nil)
	clients := make([]*memoryConn, defaultMaxIdle+2)
	for i := range clients {
		clients[i] = m.client()
	}
	for round, want := range []int{len(clients), len(clients) + 2} {
		for _, c := range clients {
			c.say(getRequest)
		}
		m.settle()
		if len(waiting) != len(clients) || len(s.conns) != want {
			t.Fatalf("round %d: %d requests are at the server, which has had %d connections, not %d", round, len(waiting), len(s.conns), want)
		}
		for _, c := range waiting {
			c.say(okAnswer)
		}
		waiting = nil
		m.settle()
		for _, c := range clients {
			if got := statusOf(c.heard()); got != "200" {
				t.Fatalf("round %d: the answer was %s", round, got)
			}
		}
		if n := s.open(); n != defaultMaxIdle {
			t.Errorf("round %d: %d connections are kept", round, n)
		}
	}
}

// A connection that nobody has used for a while is ended, and no other.
func TestHTTPPoolIsSwept(t *testing.T) {
	m := newMachine(t)
	var waiting []*memoryConn
	s := m.server(func(c *memoryConn, _ string) { waiting = append(waiting, c) })
	other := m.server(nil)
	m.start(func(c *Config) {
		c.Upstreams = append(c.Upstreams, UpstreamConfig{Name: "other", Servers: []string{other.address}})
		c.Upstreams[0].Servers = []string{s.address}
		c.Listeners[0].Routes = []RouteConfig{{Path: "/other", Upstream: "other"}}
	})
	answerAll := func() {
		m.settle()
		for _, c := range waiting {
			c.say(okAnswer)
		}
		waiting = nil
		m.settle()
	}
	for range 3 {
		m.client().say(getRequest)
	}
	answerAll()
	began := m.fake.Elapsed()
	kept := func(after time.Duration, want, wantOther int) {
		t.Helper()
		m.pass(began + after - m.fake.Elapsed())
		if n, o := s.open(), other.open(); n != want || o != wantOther {
			t.Errorf("after %v %d and %d connections are kept, not %d and %d", after, n, o, want, wantOther)
		}
	}
	kept(10*time.Second, 3, 0)
	m.client().say(getRequest) // takes one of the three
	answerAll()
	kept(20*time.Second, 3, 0)
	if got := m.get("GET /other HTTP/1.1\r\nHost: a\r\n\r\n"); got != "200" {
		t.Error(got)
	}
	const nearly = defaultServerIdle - time.Millisecond
	kept(nearly, 3, 1)
	kept(defaultServerIdle, 1, 1)
	kept(10*time.Second+nearly, 1, 1)
	kept(10*time.Second+defaultServerIdle, 0, 1)
	kept(20*time.Second+nearly, 0, 1)
	kept(20*time.Second+defaultServerIdle, 0, 0)
	if len(s.conns) != 3 {
		t.Errorf("the server has had %d connections", len(s.conns))
	}
}

// A connection that its server ends while nobody uses it is not used any more, and one
// that it ends when it is used again costs a safe request nothing.
func TestHTTPPooledConnectionEnds(t *testing.T) {
	ends := map[string]func(*memoryConn){"closed": func(c *memoryConn) { c.Close() }, "reset": func(c *memoryConn) { c.Reset() }}
	for how, end := range ends {
		t.Run("while idle, "+how, func(t *testing.T) {
			m := newMachine(t)
			s := m.server(nil)
			m.start(nil)
			for i := range 3 {
				if got := m.get(postRequest); got != "200" || len(s.conns) != i+1 {
					t.Errorf("%s, on connection %d", got, len(s.conns))
				}
				end(s.conns[i].ended())
				m.settle()
			}
			if m.log.has("request failed") {
				t.Error("a request has met it")
			}
		})
		for _, test := range []struct{ name, text, status string }{
			{"GET", getRequest, "200"},
			{"GET with a body", strings.Replace(postRequest, "POST", "GET", 1), "502"},
			{"POST", postRequest, "502"},
			{"DELETE", strings.Replace(getRequest, "GET", "DELETE", 1), "200"},
			{"PUT", strings.Replace(getRequest, "GET", "PUT", 1), "200"},
			{"PUT with a body", strings.Replace(postRequest, "POST", "PUT", 1), "502"},
		} {
			t.Run("when used, "+how+", "+test.name, func(t *testing.T) {
				m := newMachine(t)
				dying := map[*memoryConn]bool{}
				together := 0 // requests that wait until all have come
				var waiting []*memoryConn
				s := m.server(nil)
				s.answer = func(c *memoryConn, _ string) {
					switch {
					case dying[c]:
						end(c.ended())
					case together > 0:
						waiting = append(waiting, c)
					default:
						c.say(okAnswer)
					}
				}
				m.start(nil)
				together = 3
				for range together {
					m.client().say(getRequest)
				}
				m.settle()
				for _, c := range waiting {
					dying[c] = true
					c.say(okAnswer)
				}
				together = 0
				m.settle()
				if got := m.get(test.text); got != test.status {
					t.Errorf("%s, want %s", got, test.status)
				}
				if n := m.UpstreamInfos()[0].Servers[0].Failed; (n > 0) != (test.status == "502") {
					t.Errorf("%d failures of the server are counted", n)
				}
				// It is not tried on the others, which may have ended, too.
				want := len(dying)
				if test.status == "200" {
					want++
				}
				if len(s.conns) != want || s.open() != want-1 {
					t.Errorf("of %d connections %d are open; want %d, and all but one", len(s.conns), s.open(), want)
				}
			})
		}
	}
}

// A request that is sent again to the server that was chosen for it goes there in the way
// of that server's upstream, whatever upstream has been named meanwhile, and so does what
// its connection is used for next.
func TestHTTPRetryStaysInItsUpstream(t *testing.T) {
	var x *Exchange // of the worker
	f := &testHTTP{request: func(y *Exchange) Verdict { x = y; return Pass }}
	m := newMachine(t)
	plain, secured := m.server(nil), m.server(nil)
	m.start(func(c *Config) {
		c.Filters = []FilterConfig{{Name: "a", Filter: attaching(f)}}
		c.Listeners[0].Filters = []string{"a"}
		c.Upstreams[0].Servers = []string{plain.address}
		c.Upstreams = append(c.Upstreams, UpstreamConfig{Name: "secured", Servers: []string{secured.address}, TLS: &UpstreamTLS{InsecureSkipVerify: true}})
	})
	c := m.client()
	if got := statusOf(m.ask(c, getRequest)); got != "200" { // its connection is used again
		t.Fatal(got)
	}
	plain.manual = true
	c.say(getRequest)
	m.settle()
	var late error
	m.wait(func() error {
		return m.Port().Workers()[0].Call(func() {
			late = x.SetUpstream("secured")
			x.upstream = x.h.c.listener.generation.Load().upstreams[1] // as if it had been possible
		})
	})
	if !errors.Is(late, ErrBadContext) {
		t.Errorf("SetUpstream of a request that has gone on: %v", late)
	}
	plain.manual = false
	plain.conns[0].ended().Close()
	m.settle()
	if got := statusOf(c.heard()); got != "200" || len(plain.conns) != 2 || len(secured.conns) != 0 {
		t.Errorf("status %q; %d and %d connections", got, len(plain.conns), len(secured.conns))
	}
	m.wait(func() error {
		return m.Port().Workers()[0].Call(func() {
			for key, idle := range m.live[0].http.idle {
				if len(idle.list) > 0 && (key.upstream.config.Name != "out" || key.address.String() != plain.address) {
					t.Errorf("a connection to %s waits for upstream %q", key.address, key.upstream.config.Name)
				}
			}
		})
	})
}

// The settings of an upstream, and what its servers say, decide how long a connection is
// kept and for how many requests.
func TestHTTPPoolSettings(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*UpstreamConfig)
		hint   string        // of the server
		stays  time.Duration // 0: it is ended at once
	}{
		{"the default", nothingOf, "", defaultServerIdle},
		{"idle_timeout", func(u *UpstreamConfig) { u.IdleTimeout = 7 * time.Second }, "", 7 * time.Second},
		{"a hint", nothingOf, "timeout=5", 4 * time.Second},
		{"a hint among others", nothingOf, "max=100 , Timeout = 5", 4 * time.Second},
		{"a short hint", nothingOf, "timeout=1", time.Second / 2},
		{"a hint of nothing", nothingOf, "timeout=0", 0},
		{"a long hint", nothingOf, "timeout=3600", defaultServerIdle},
		{"no hint", nothingOf, "max=100", defaultServerIdle},
		{"an empty hint", nothingOf, "timeout=", defaultServerIdle},
		{"a hint that is no number", nothingOf, "timeout=-5", defaultServerIdle},
		{"a huge hint", nothingOf, "timeout=99999999999999999999", defaultServerIdle},
		{"max_requests", func(u *UpstreamConfig) { u.MaxRequests = 1 }, "", 0},
		{"more requests", func(u *UpstreamConfig) { u.MaxRequests = 2 }, "", defaultServerIdle},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(t)
			s := m.server(func(c *memoryConn, _ string) {
				hint := ""
				if test.hint != "" {
					hint = "Keep-Alive: " + test.hint + "\r\n"
				}
				c.say("HTTP/1.1 200 OK\r\n" + hint + "Content-Length: 2\r\n\r\nok")
			})
			m.start(func(c *Config) { test.change(&c.Upstreams[0]) })
			if got := m.get(postRequest); got != "200" {
				t.Fatal(got)
			}
			if test.stays > 0 {
				m.pass(test.stays - time.Millisecond)
				if n := s.open(); n != 1 {
					t.Fatalf("%d connections shortly before its end", n)
				}
				m.pass(time.Millisecond)
			}
			if n := s.open(); n != 0 {
				t.Errorf("%d connections are kept after %v", n, test.stays)
			}
		})
	}
}

func nothingOf(*UpstreamConfig) {}

// A connection is used for as many requests as it may be.
func TestHTTPPoolMaxRequests(t *testing.T) {
	m := newMachine(t)
	s := m.server(nil)
	m.start(func(c *Config) { c.Upstreams[0].MaxRequests, c.Upstreams[0].MaxIdle = 3, 1 })
	for i := range 7 {
		if got := m.get(postRequest); got != "200" || len(s.conns) != 1+i/3 {
			t.Errorf("request %d: %s on connection %d", i, got, len(s.conns))
		}
	}
}

// Server connections that are idle for different times are each ended at theirs, and none is
// used behind it.
func TestHTTPPoolTimesOfTheirOwn(t *testing.T) {
	m := newMachine(t)
	var waiting []*memoryConn
	s := m.server(func(c *memoryConn, _ string) { waiting = append(waiting, c) })
	m.start(nil)
	clients := []*memoryConn{m.client(), m.client(), m.client()}
	for _, c := range clients {
		m.ask(c, getRequest)
	}
	for i, seconds := range []string{"20", "3", "10"} {
		waiting[i].say("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=" + seconds + "\r\nContent-Length: 2\r\n\r\nok")
		m.settle()
	}
	for _, after := range []struct {
		time time.Duration
		open int
	}{{1999 * time.Millisecond, 3}, {time.Millisecond, 2}, {6999 * time.Millisecond, 2}, {time.Millisecond, 1}, {9999 * time.Millisecond, 1}, {time.Millisecond, 0}} {
		m.pass(after.time)
		if n := s.open(); n != after.open {
			t.Errorf("%d connections are kept, not %d, after %v more", n, after.open, after.time)
		}
	}
}

// Idle connections to servers are given up for clients when descriptors are short.
func TestHTTPPoolMakesRoom(t *testing.T) {
	m := newMachine(t)
	var waiting []*memoryConn
	s := m.server(func(c *memoryConn, _ string) { waiting = append(waiting, c) })
	m.start(nil)
	m.spare.Store(20)
	clients := make([]*memoryConn, 8, 9)
	for i := range clients {
		clients[i] = m.client()
		clients[i].say(getRequest)
	}
	m.settle()
	for _, c := range waiting {
		c.say(okAnswer)
	}
	m.settle()
	if n := s.open(); n != 4 { // beside the 16 descriptors for the 8 clients
		t.Errorf("%d connections are kept", n)
	}
	clients = append(clients, m.client())
	if n := s.open(); n != 2 {
		t.Errorf("%d connections are kept when another client has come", n)
	}
	for _, c := range clients {
		c.Close()
	}
	m.settle()
	m.wait(func() error {
		return m.Port().Workers()[0].Call(func() {
			if n := m.idle.Load(); n != 2 {
				t.Errorf("%d idle connections are counted", n)
			}
		})
	})
}
