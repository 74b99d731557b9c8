package framework

import (
	"strings"
	"testing"
	"time"

	"fwx/framework/balance"
)

const upgradeRequest = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" + keyField + "\r\n"

// saying returns an answer of a server.
func saying(text string) func(*memoryConn, string) {
	return func(c *memoryConn, _ string) { c.say(text) }
}

// upgrading answers a request for an upgrade as it should be, and any other with okAnswer.
func upgrading(c *memoryConn, head string) {
	if !strings.Contains(head, "Upgrade: websocket") {
		c.say(okAnswer)
		return
	}
	c.say(switching("websocket", acceptField))
}

// A server that fails at requests in a row, in whatever way, is left out for a while. One
// that answers in between has not failed in a row.
func TestHTTPEjected(t *testing.T) {
	const failures = 3
	for _, test := range []struct {
		name   string
		bad    func(c *memoryConn, head string)
		text   string
		status string        // of the bad answer
		good   string        // a request that the server answers well
		wait   time.Duration // for the bad answer
	}{
		{"no HTTP", saying("SSH-2.0-OpenSSH\r\n\r\n"), postRequest, "502", postRequest, 0},
		{"malformed", saying("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), getRequest, "502", upgradeRequest, 0},
		{"closed", func(c *memoryConn, _ string) { c.ended().Close() }, postRequest, "502", getRequest, 0},
		{"closed in the head", func(c *memoryConn, _ string) { c.say(okAnswer[:9]); c.ended().Close() }, postRequest, "502", getRequest, 0},
		{"reset", func(c *memoryConn, _ string) { c.ended().Reset() }, postRequest, "502", getRequest, 0},
		{"closed, and another is asked", func(c *memoryConn, _ string) { c.ended().Close() }, getRequest, "200", getRequest, 0},
		{"silent", saying(""), getRequest, "504", getRequest, time.Minute},
		{"silent behind an interim answer", saying("HTTP/1.1 103 Early Hints\r\n\r\n"), getRequest, "504", getRequest, time.Minute},
		{"interim answers without end", saying(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", maxInterims+1)), getRequest, "502", getRequest, 0},
		{"a switch of protocols unasked", saying(switching("websocket", acceptField)), getRequest, "502", getRequest, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(t)
			fails, asked := true, 0
			m.server(func(c *memoryConn, head string) {
				if asked++; fails {
					test.bad(c, head)
					return
				}
				upgrading(c, head)
			})
			m.server(upgrading)
			m.start(func(c *Config) {
				c.Upstreams[0].Eject = &balance.EjectConfig{Failures: failures, Time: time.Hour}
			})
			// ask asks until it is this server's turn, and returns what came of that.
			ask := func(text string) string {
				t.Helper()
				for range 2 {
					before, c := asked, m.client()
					got := m.ask(c, text)
					if test.wait > 0 && statusOf(got) == "" {
						m.pass(test.wait)
						got += c.heard()
					}
					c.Close()
					m.settle()
					if asked > before {
						return got
					}
				}
				t.Fatal("the server is not asked")
				return ""
			}
			failed := 0
			is := func(state string) {
				t.Helper()
				if s := m.UpstreamInfos()[0].Servers[0]; s.State != state || s.Failed != uint64(failed) {
					t.Errorf("the server is %s and has failed %d times; want %s, %d", s.State, s.Failed, state, failed)
				}
			}
			fail := func(times int) {
				t.Helper()
				fails = true
				for range times {
					is("up")
					failed++
					if got := statusOf(ask(test.text)); got != test.status {
						t.Errorf("the answer was %s, want %s", got, test.status)
					}
				}
			}
			fail(failures - 1)
			fails = false
			ask(test.good)
			fail(failures)
			is("ejected")
			before := asked
			for range 4 {
				if got := m.get(getRequest); got != "200" {
					t.Errorf("without it the answer was %s", got)
				}
			}
			if asked != before {
				t.Error("it was asked all the same")
			}
			m.pass(time.Hour)
			is("up")
			fails = false
			ask(getRequest)
		})
	}
}

// What is not the server's fault, or an answer all the same, is no failure of its.
func TestHTTPNotEjected(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer func(c *memoryConn, head string)
		text   string
		wait   time.Duration
		status string // empty: none comes
	}{
		{"an error", saying("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"), getRequest, 0, "500"},
		{"an answer that breaks off", func(c *memoryConn, _ string) { c.say(okAnswer[:len(okAnswer)-1]); c.ended().Close() }, getRequest, 0, "200"},
		{"more than the answer", saying(okAnswer + okAnswer), getRequest, 0, "200"},
		{"a client that leaves", saying(""), getRequest, 0, ""},
		{"a client that sends its body slowly", saying(""), strings.TrimSuffix(postRequest, "c"), time.Minute, "408"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(t)
			s := m.server(test.answer)
			m.server(test.answer)
			m.start(func(c *Config) { c.Upstreams[0].Eject = &balance.EjectConfig{Failures: 1, Time: time.Hour} })
			for range 4 {
				c := m.client()
				c.say(test.text)
				m.pass(test.wait)
				if got := statusOf(c.heard()); got != test.status {
					t.Errorf("the answer was %s, want %s", got, test.status)
				}
				c.Reset()
				m.settle()
			}
			if info := m.UpstreamInfos()[0].Servers[0]; info.State != "up" || info.Failed != 0 || info.Connections != 0 || len(s.conns) == 0 {
				t.Errorf("%+v", info)
			}
		})
	}
}

// A request that is answered keeps no place at its server, though its connection is kept:
// max_connections bounds requests, and the fewest connections are the fewest requests.
func TestHTTPPlacesAreOfRequests(t *testing.T) {
	m := newMachine(t)
	waiting := map[string]*memoryConn{} // by the path
	hold := func(c *memoryConn, head string) {
		_, path, _ := strings.Cut(head, " ")
		path, _, _ = strings.Cut(path, " ")
		waiting[path] = c
	}
	a, b := m.server(hold), m.server(hold)
	m.start(func(c *Config) {
		c.Upstreams[0].Balance, c.Upstreams[0].MaxConnections = balance.LeastConnections, 2
	})
	clients := map[string]*memoryConn{}
	ask := func(paths ...string) {
		t.Helper()
		for _, path := range paths {
			if clients[path] == nil {
				clients[path] = m.client()
			}
			clients[path].say("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
			m.settle()
		}
	}
	answer := func(paths ...string) {
		t.Helper()
		for _, path := range paths {
			waiting[path].say(okAnswer)
			delete(waiting, path)
			m.settle()
			if got := statusOf(clients[path].heard()); got != "200" {
				t.Errorf("%s: %s", path, got)
			}
		}
	}
	are := func(requestsA, requestsB int64, connsA, connsB int) {
		t.Helper()
		servers := m.UpstreamInfos()[0].Servers
		if ra, rb := servers[0].Connections, servers[1].Connections; ra != requestsA || rb != requestsB || a.open() != connsA || b.open() != connsB {
			t.Errorf("%d and %d requests on %d and %d connections; want %d and %d on %d and %d", ra, rb, a.open(), b.open(), requestsA, requestsB, connsA, connsB)
		}
	}
	must(m.drain(b, true))(t)
	ask("/1", "/2")
	are(2, 0, 2, 0)
	ask("/full")
	if got := statusOf(clients["/full"].heard()); got != "503" {
		t.Errorf("beyond max_connections: %s", got)
	}
	answer("/1", "/2")
	are(0, 0, 2, 0)
	ask("/1", "/2") // on the connections that are kept
	are(2, 0, 2, 0)
	answer("/1", "/2")
	must(m.drain(b, false))(t)
	ask("/1", "/2", "/3", "/4") // were the idle ones counted, the first two would go to b
	are(2, 2, 2, 2)
	answer("/1", "/2", "/3", "/4")
	are(0, 0, 2, 2)
}

// A drained server gets no more requests, on the connections that are kept neither; what it
// has been asked it answers.
func TestHTTPDrained(t *testing.T) {
	m := newMachine(t)
	var waiting []*memoryConn
	requests := 0
	a := m.server(func(c *memoryConn, head string) {
		requests++
		if strings.HasPrefix(head, "GET /wait ") {
			waiting = append(waiting, c)
			return
		}
		c.say(okAnswer)
	})
	b := m.server(nil)
	m.start(nil)
	for range 4 { // each in turn
		m.get(getRequest)
	}
	slow := m.client()
	slow.say(strings.Replace(getRequest, "/", "/wait", 1))
	m.settle()
	if len(waiting) != 1 || len(a.conns) != 1 || len(b.conns) != 1 {
		t.Fatalf("%d wait, on %d and %d connections", len(waiting), len(a.conns), len(b.conns))
	}
	before := requests
	if infos := must(m.drain(a, true))(t); infos[0].Connections != 1 || infos[0].State != "drained" {
		t.Errorf("%+v", infos)
	}
	for range 4 {
		if got := m.get(getRequest); got != "200" {
			t.Error(got)
		}
	}
	waiting[0].say(okAnswer)
	m.settle()
	if got := statusOf(slow.heard()); got != "200" {
		t.Errorf("what was asked before: %s", got)
	}
	for range 4 {
		if got := statusOf(m.ask(slow, getRequest)); got != "200" {
			t.Error(got)
		}
	}
	if n := requests; n != before || a.open() != 1 || len(a.conns) != 1 {
		t.Errorf("asked %d times, on %d connections, of which %d are open", n-before, len(a.conns), a.open())
	}
	must(m.drain(a, false))(t)
	for range 2 {
		m.get(getRequest)
	}
	if n := requests; n != before+1 || len(a.conns) != 1 {
		t.Errorf("ready again it was asked %d times, on %d connections", n-before, len(a.conns))
	}
	must(m.drain(a, true))(t)
	m.pass(defaultServerIdle)
	if n := a.open(); n != 0 {
		t.Errorf("%d connections are kept for long", n)
	}
}
