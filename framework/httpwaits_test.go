package framework

import (
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"fwx/framework/balance"
	"fwx/framework/completion"
)

// A client that leaves while its server is being connected: the attempt ends with it.
func TestHTTPClientLeavesInConnect(t *testing.T) {
	m := newMachine(t)
	s := m.server(nil)
	m.start(func(c *Config) { c.Upstreams[0].Eject = &balance.EjectConfig{Failures: 1, Time: time.Hour} })
	at := completion.Address{AddrPort: netip.MustParseAddrPort(s.address)}
	m.fake.FailConnect(at, nil)
	c := m.client()
	c.say(getRequest)
	m.settle()
	is := func(active float64, connections int64) {
		t.Helper()
		if n, i := m.counter(t, metricActive, "in"), m.UpstreamInfos()[0].Servers[0]; n != active || i.Connections != connections || i.Failed != 0 {
			t.Errorf("%v requests, %+v", n, i)
		}
	}
	is(1, 1)
	c.Reset()
	m.settle()
	is(0, 0)
	if !m.log.has(`status=499 reason="the client closed the connection"`) || m.counter(t, metricRequests, "4xx") != 1 || m.Connections() != 0 {
		t.Errorf("%v are counted, %d connections", m.counter(t, metricRequests, "4xx"), m.Connections())
	}
	m.fake.MendConnect(at)
	if got := m.get(getRequest); got != "200" {
		t.Error(got)
	}
}

// A client that leaves while its server shakes hands: the server's connection ends with it.
func TestHTTPClientLeavesInHandshake(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			greeted, gone := make(chan struct{}), make(chan struct{})
			server := serve(t, func(c *net.TCPConn) {
				if _, err := c.Read(make([]byte, 1)); err == nil {
					close(greeted)
				}
				_, _ = io.Copy(io.Discard, c)
				close(gone)
			})
			config := httpConfig(backend, server)
			config.Upstreams[0].TLS = &UpstreamTLS{InsecureSkipVerify: true}
			config.Upstreams[0].ConnectTimeout = 10 * patience
			g := startGateway(t, config)
			c := g.dial(t)
			_, err := io.WriteString(c, getRequest)
			check(t, err)
			<-greeted
			check(t, c.SetLinger(0))
			check(t, c.Close())
			<-gone
			eventually(t, "all has ended, and is counted", func() bool {
				s := g.UpstreamInfos()[0].Servers[0]
				return g.Connections() == 0 && g.counter(t, metricActive, "in") == 0 && s.Connections == 0 && s.Failed == 0 &&
					g.counter(t, "fwx_tls_upstream_handshakes_total", "failed") == 1 && g.counter(t, metricRequests, "4xx") == 1
			})
			if !g.log.has(`status=499 reason="the client closed the connection"`) {
				t.Error("the log does not tell of it")
			}
		})
	}
}

// A server that stops taking a body has response_timeout for each part of it.
func TestHTTPServerStopsTaking(t *testing.T) {
	const size = 10 << 20
	for name, request := range map[string]string{
		"a length": "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + strconv.Itoa(size) + "\r\n\r\n",
		"chunks":   "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + strconv.FormatInt(size, 16) + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			s := m.server(func(*memoryConn, string) {})
			m.start(nil)
			c := m.client()
			c.say(request)
			m.settle()
			s.deaf = true
			upload := func() (sent int) {
				for {
					n := c.fill()
					if n == 0 {
						return sent
					}
					sent += n
					m.settle()
				}
			}
			if n := upload(); n == 0 || n > 1<<20 {
				t.Errorf("%d bytes were taken for a server that takes none", n)
			}
			// One that is merely slow goes on for long.
			for range 20 {
				m.pass(defaultResponseTimeout - time.Second)
				s.deaf = false
				s.turn()
				s.deaf = true
				m.settle()
				if n := upload(); n == 0 {
					t.Fatalf("nothing more is taken for it: %s", c.heard())
				}
			}
			m.pass(defaultResponseTimeout - time.Second)
			if text := c.heard(); text != "" || s.open() != 1 {
				t.Errorf("before its time is over: %q", text)
			}
			m.pass(time.Second)
			if got := c.heard(); statusOf(got) != "504" || !strings.Contains(got, "Connection: close\r\n") {
				t.Errorf("%q", got)
			}
			s.deaf = false
			if info := m.UpstreamInfos()[0].Servers[0]; s.open() != 0 || info.Connections != 0 || info.Failed != 1 || !m.log.has(errSilent.Error()) {
				t.Errorf("%d connections are left, %+v", s.open(), info)
			}
			m.pass(lingerTime)
			if n := m.Connections(); n != 0 {
				t.Errorf("%d connections of clients are left", n)
			}
		})
	}
}

// A client may take its answer slowly, if only a piece of it (128 KiB at most) goes on
// within idle_timeout: neither its connection nor the server's is cut off before.
func TestHTTPClientTakesSlowly(t *testing.T) {
	const idle, piece = 10 * time.Minute, 128 << 10
	for name, more := range map[string]string{
		"one request":                      "",
		"another behind it":                getRequest,
		"another of which a part is there": "GET /",
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			s := m.server(saying("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"))
			m.start(func(c *Config) { c.Listeners[0].HTTP.SendTimeout, c.Listeners[0].HTTP.SendRate = time.Hour, 100 })
			c := m.client()
			c.say(getRequest + more)
			m.settle()
			fill := func() { // until nothing more is taken of the server
				for s.conns[0].fill() > 0 {
					m.settle()
				}
			}
			fill()
			for range 20 {
				m.pass(idle - time.Second)
				for taken := 0; taken < piece; fill() {
					n := len(c.heard())
					if taken += n; n == 0 {
						t.Fatalf("after %v the end was %v", m.fake.Elapsed(), c.err)
					}
					m.settle()
				}
			}
			m.pass(idle - time.Second)
			if m.Connections() != 1 || s.open() != 1 {
				t.Errorf("it has been cut off: %d connections, the server's %d", m.Connections(), s.open())
			}
			m.pass(idle)
			if m.Connections() != 0 || s.open() != 0 || m.counter(t, metricActive, "in") != 0 || !m.log.has("idle for 10m0s") {
				t.Errorf("it has not been cut off: %d connections, the server's %d", m.Connections(), s.open())
			}
		})
	}
}

// A filter may hold a request or an answer for longer than idle_timeout, which begins anew
// behind that.
func TestHTTPIdleHeld(t *testing.T) {
	const idle = 10 * time.Minute
	for _, long := range []time.Duration{3 * idle, idle - time.Second} {
		for dir, text := range map[Direction]string{Upstream: getRequest, Downstream: postRequest + getRequest} {
			t.Run(dir.String()+" for "+long.String(), func(t *testing.T) {
				m := newMachine(t)
				var held *Exchange
				hold := func(x *Exchange) Verdict {
					held = x
					return Hold
				}
				f := &testHTTP{request: hold}
				if dir == Downstream {
					f = &testHTTP{response: hold}
				}
				s := m.server(nil)
				m.start(func(c *Config) {
					c.Filters = []FilterConfig{{Name: "a", Class: ClassMiddle, Filter: attaching(f)}}
					c.Listeners[0].Filters = []string{"a"}
				})
				c := m.client()
				c.say(text)
				m.pass(long)
				s.deaf = true // the answer to what is resumed is a while in coming
				m.wait(func() error { return m.Port().Workers()[0].Call(func() { check(t, held.Resume(dir, Pass)) }) })
				m.pass(2 * time.Second)
				s.deaf = false
				m.settle()
				if got := statusOf(c.heard()); got != "200" {
					t.Errorf("%q", got)
				}
			})
		}
	}
}
