package framework

import (
	"context"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// endings are all who may end a request, and how: what the client sends and the server answers,
// and what is done when the request is at the server.
var endings = []struct {
	name            string
	request, answer string // an answer of "" has the server wait, "close" end the connection
	change          func(c *Config)
	filter          *testHTTP
	act             func(t *testing.T, g *gateway, client *net.TCPConn)
	status          int
	by              EndedBy
	reason          string // what the log says
}{
	{name: "a good one", answer: goodAnswer, status: 200, by: ByNobody},
	{name: "the client resets", act: func(t *testing.T, _ *gateway, client *net.TCPConn) {
		t.Helper()
		check(t, client.SetLinger(0))
		check(t, client.Close())
	}, status: 499, by: ByClient, reason: "the client closed the connection"},
	{name: "a malformed request", request: "GET / HTTP/1.1\nHost: a\r\n\r\n", status: 400, by: ByClient, reason: "."},
	{name: "half a request", request: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab", act: func(t *testing.T, _ *gateway, client *net.TCPConn) {
		t.Helper()
		check(t, client.CloseWrite())
	}, status: 400, by: ByClient, reason: "the client ended its request"},
	{name: "no server", change: func(c *Config) { c.Upstreams[0].Servers = []string{"127.0.0.1:1"} }, status: 502, by: ByServer, reason: "no server could be reached"},
	{name: "no answer", request: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", answer: "close", status: 502, by: ByServer, reason: "without a response"},
	{name: "a malformed answer", answer: "HTTP/1.1 200 OK\nX: y\r\n\r\n", status: 502, by: ByServer, reason: "malformed"},
	{name: "half an answer", answer: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabclose", status: 200, by: ByServer, reason: "before its response was complete"},
	{name: "a filter denies", filter: &testHTTP{request: func(*Exchange) Verdict { return Deny("no") }}, status: 403, by: ByFilter, reason: "filter a: no"},
	{name: "a filter fails", filter: &testHTTP{request: func(*Exchange) Verdict { return Fail("no") }}, status: 500, by: ByFilter, reason: "filter a: no"},
	{name: "a filter resets", filter: &testHTTP{request: func(x *Exchange) Verdict {
		x.Connection().Reset()
		return Pass
	}}, status: 0, by: ByFilter, reason: "a filter has reset the connection"},
	{name: "a filter closes", filter: &testHTTP{request: func(x *Exchange) Verdict {
		x.Connection().Close()
		return Pass
	}}, status: 0, by: ByFilter, reason: "a filter has closed the connection"},
	{name: "a filter resets, of a response", answer: goodAnswer, filter: &testHTTP{response: func(x *Exchange) Verdict {
		x.Connection().Reset()
		return Pass
	}}, status: 200, by: ByFilter, reason: "a filter has reset the connection"},
	{
		name: "a body too long", request: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n", change: func(c *Config) { c.Listeners[0].HTTP.MaxBody = 100 },
		status: 413, by: ByLimit, reason: "max_body",
	},
	{
		name: "a head too long", request: "GET /" + strings.Repeat("x", 1000) + " HTTP/1.1\r\nHost: a\r\n\r\n", change: func(c *Config) { c.Listeners[0].HTTP.MaxRequestLine = 100 },
		status: 414, by: ByLimit, reason: ".",
	},
	{
		name: "a head too slow", request: "GET / HTTP/1.1\r\n", change: func(c *Config) { c.Listeners[0].HTTP.HeaderTimeout = 50 * time.Millisecond },
		status: 408, by: ByLimit, reason: "took too long",
	},
	{name: "a server too slow", change: func(c *Config) { c.Listeners[0].HTTP.ResponseTimeout = 50 * time.Millisecond }, status: 504, by: ByLimit, reason: "took too long"},
	{name: "idle", change: func(c *Config) { c.Listeners[0].IdleTimeout = time.Second }, status: 0, by: ByLimit, reason: "idle for 1s"},
	{name: "CONNECT", request: "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", status: 501, by: ByGateway, reason: "not supported"},
	{name: "a route", change: func(c *Config) { c.Listeners[0].Routes = []RouteConfig{{Status: 404}} }, status: 404, by: ByGateway, reason: "the route says so"},
	{name: "the service ends", act: func(t *testing.T, g *gateway, _ *net.TCPConn) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		check(t, g.Shutdown(ctx))
	}, status: 0, by: ByGateway, reason: "the service was shut down"},
	{name: "the operator", act: func(t *testing.T, g *gateway, _ *net.TCPConn) {
		t.Helper()
		infos, _ := g.Inspect(t.Context(), 0, 1)
		check(t, g.Kill(t.Context(), infos[0].ID, "ended by the operator"))
	}, status: 0, by: ByOperator, reason: "ended by the operator"},
}

const goodAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// ended keeps who has ended an exchange, as its filters are told.
type ended struct {
	*testHTTP
	by chan EndedBy
}

func (e ended) EndExchange(x *Exchange) { e.by <- x.EndedBy() }

// TestEndedBy sees that a request which ends early says by whom: in the log, and to its filters.
func TestEndedBy(t *testing.T) {
	seen := make(map[EndedBy]bool)
	for _, tt := range endings {
		seen[tt.by] = true
		t.Run(tt.name, func(t *testing.T) {
			reached := make(chan struct{}, 10)
			server := serve(t, func(c *net.TCPConn) {
				_, _ = c.Read(make([]byte, 4<<10)) // the head
				reached <- struct{}{}
				answer, closes := strings.CutSuffix(tt.answer, "close")
				_, _ = io.WriteString(c, answer)
				if !closes {
					_, _ = io.Copy(io.Discard, c)
				}
			})
			f := ended{tt.filter, make(chan EndedBy, 1)}
			if f.testHTTP == nil {
				f.testHTTP = &testHTTP{}
			}
			config := httpConfig(backends[0], server, attaching(f))
			config.Listeners[0].HTTP.AccessLog = true
			if tt.change != nil {
				tt.change(&config)
			}
			g := startGateway(t, config)
			client := g.dial(t)
			request := tt.request
			if request == "" {
				request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
			}
			_, err := io.WriteString(client, request)
			check(t, err)
			if tt.act != nil {
				<-reached
				tt.act(t, g, client)
			}
			select {
			case by := <-f.by:
				if by != tt.by {
					t.Errorf("a filter was told %v, not %v", by, tt.by)
				}
			case <-time.After(patience):
				t.Fatal("the exchange does not end")
			}
			want := regexp.MustCompile(`msg=request .* status=` + strconv.Itoa(tt.status) + ` .* reason=.*` + tt.reason + `.* by=` + tt.by.String() + "\n")
			if tt.by == ByNobody {
				want = regexp.MustCompile(`msg=request .* status=200 .* server=\S+` + "\n")
			}
			eventually(t, "the log says so", func() bool {
				g.log.mu.Lock()
				defer g.log.mu.Unlock()
				return want.Match(g.log.text.Bytes())
			})
		})
	}
	for by := ByNobody; by <= ByOperator; by++ {
		if !seen[by] {
			t.Errorf("nothing here is ended by %v", by)
		}
	}
}

// TestConnectionEndedBy is the same for connections without HTTP.
func TestConnectionEndedBy(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(c *Config)
		onData func(c *Connection) Verdict
		server func(c *net.TCPConn)
		act    func(t *testing.T, g *gateway, client *net.TCPConn)
		by     EndedBy
	}{
		{name: "both sides", server: func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) }, act: func(t *testing.T, _ *gateway, client *net.TCPConn) {
			t.Helper()
			check(t, client.CloseWrite())
		}, by: ByNobody},
		{name: "the client", act: func(t *testing.T, _ *gateway, client *net.TCPConn) {
			t.Helper()
			check(t, client.SetLinger(0))
			check(t, client.Close())
		}, by: ByClient},
		{name: "the server", server: func(c *net.TCPConn) {
			_, _ = c.Read(make([]byte, 1))
			_ = c.SetLinger(0) // it is open
		}, by: ByServer},
		{name: "no server", change: func(c *Config) { c.Upstreams[0].Servers = []string{"127.0.0.1:1"} }, by: ByServer},
		{name: "a filter denies", onData: func(*Connection) Verdict { return Deny("no") }, by: ByFilter},
		{name: "a filter fails", onData: func(*Connection) Verdict { return Fail("no") }, by: ByFilter},
		{name: "a filter closes", onData: func(c *Connection) Verdict { c.Close(); return Pass }, by: ByFilter},
		{name: "idle", change: func(c *Config) { c.Listeners[0].IdleTimeout = 50 * time.Millisecond }, by: ByLimit},
		{name: "the service ends", act: func(t *testing.T, g *gateway, _ *net.TCPConn) {
			t.Helper()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			check(t, g.Shutdown(ctx))
		}, by: ByGateway},
		{name: "the operator", act: func(t *testing.T, g *gateway, _ *net.TCPConn) {
			t.Helper()
			infos, _ := g.Inspect(t.Context(), 0, 1)
			check(t, g.Kill(t.Context(), infos[0].ID, "ended by the operator"))
		}, by: ByOperator},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.server == nil {
				tt.server = func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) }
			}
			reached := make(chan struct{}, 1)
			told := make(chan EndedBy, 1)
			f := &testFilter{onData: func(c *Connection, _ Direction, _ []byte) Verdict {
				reached <- struct{}{}
				if tt.onData != nil {
					return tt.onData(c)
				}
				return Pass
			}, onEvent: func(ev *Event) Verdict {
				if ev.Type == ConnectionTerminating {
					told <- ev.Connection.EndedBy()
				}
				return Pass
			}}
			config := gatewayConfig(backends[0], serve(t, tt.server), f)
			if tt.change != nil {
				tt.change(&config)
			}
			g := startGateway(t, config)
			var client *net.TCPConn
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", g.ListenAddress("in").String())
			if err == nil { // else the gateway has reset it already
				client = conn.(*net.TCPConn)
				t.Cleanup(func() { _ = client.Close() })
				_, _ = io.WriteString(client, "x") // as above
			}
			if tt.act != nil {
				<-reached
				tt.act(t, g, client)
			}
			select {
			case by := <-told:
				if by != tt.by {
					t.Errorf("it was ended by %v, not %v", by, tt.by)
				}
			case <-time.After(patience):
				t.Fatal("the connection does not end")
			}
		})
	}
}
