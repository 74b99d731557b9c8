package framework

import (
	"strconv"
	"testing"
	"time"
)

// TestHTTPSendRate sees that a client that takes its response slowly goes on, and one that
// takes less than send_rate for send_timeout is cut off, whatever it asked for before.
func TestHTTPSendRate(t *testing.T) {
	const timeout, rate = 20 * time.Second, 1000
	for name, begin := range map[string]struct{ request, answer string }{
		"a response": {getRequest, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"},
		"chunks":     {getRequest, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5f5e100\r\n"},
		"a tunnel":   {upgradeRequest, switching("websocket", acceptField)},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			s := m.server(saying(begin.answer))
			m.start(func(c *Config) { c.Listeners[0].HTTP.SendTimeout, c.Listeners[0].HTTP.SendRate = timeout, rate })
			c := m.client()
			c.say(begin.request)
			m.settle()
			fill := func() { // until nothing more is taken of the server
				for s.conns[0].fill() > 0 {
					m.settle()
				}
			}
			fill()
			for range 20 {
				taken := 0
				for taken < 150<<10 { // more than is sent at once
					n := len(c.heard())
					if taken += n; n == 0 {
						t.Fatalf("after %v the end was %v", m.fake.Elapsed(), c.err)
					}
					m.settle()
					fill()
				}
				m.pass(timeout - time.Second)
			}
			if m.Connections() != 1 || s.open() != 1 {
				t.Fatalf("it was cut off: %d connections, the server's %d", m.Connections(), s.open())
			}
			m.pass(timeout + timeout/checksPerTimeout)
			if m.Connections() != 0 || s.open() != 0 || !m.log.has("send_rate") || m.counter(t, metricCutOff, "in") != 1 {
				t.Errorf("it was not cut off: %d connections, the server's %d", m.Connections(), s.open())
			}
			if info := m.UpstreamInfos()[0].Servers[0]; info.Failed != 0 {
				t.Errorf("the server is blamed: %+v", info)
			}
		})
	}
}

// TestHTTPSendRateOfAPiece sees that what a client takes of a single piece counts as it takes
// it: a piece may be long for it.
func TestHTTPSendRateOfAPiece(t *testing.T) {
	const timeout, rate = 20 * time.Second, 1000
	for _, row := range []struct {
		takes int // bytes a second
		until time.Duration
		cut   bool
	}{
		{1500, 3 * timeout, false},
		{500, 3 * timeout, true}, // it loses half a second each second
		{0, timeout + timeout/checksPerTimeout, true},
	} {
		t.Run(strconv.Itoa(row.takes), func(t *testing.T) {
			m := newMachine(t)
			s := m.server(saying("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"))
			m.start(func(c *Config) { c.Listeners[0].HTTP.SendTimeout, c.Listeners[0].HTTP.SendRate = timeout, rate })
			c := m.client()
			c.say(getRequest)
			m.settle()
			fill := func() { // until nothing more is taken of the server
				for s.conns[0].fill() > 0 {
					m.settle()
				}
			}
			fill()
			for begun := m.fake.Elapsed(); m.fake.Elapsed()-begun < row.until; {
				if row.takes > 0 && m.Connections() == 1 {
					_ = must(c.Receive(make([]byte, row.takes)))(t)
					m.settle()
					fill()
				}
				m.pass(time.Second)
			}
			if cut := m.Connections() == 0; cut != row.cut {
				t.Errorf("it was cut off: %v", cut)
			}
		})
	}
}

// A client whose time for its body is spent, before the timer has noticed, gets no more.
func TestHTTPBodyTimeSpent(t *testing.T) {
	for _, left := range []time.Duration{0, -time.Second} {
		m := newMachine(t)
		m.server(func(*memoryConn, string) {})
		m.start(nil)
		c := m.client()
		c.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
		m.settle()
		m.wait(func() error {
			return m.Port().Workers()[0].Call(func() {
				for c := range m.live[0].connections {
					h := c.clientConn()
					h.up.left = left
					h.await(waitBody)
				}
			})
		})
		m.pass(time.Second)
		if got := statusOf(c.heard()); got != "408" {
			t.Errorf("with %v left: %q", left, got)
		}
	}
}
