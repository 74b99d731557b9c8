package framework

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// testHTTP is an HTTP filter made of functions, those of which may be nil.
type testHTTP struct {
	request, response         func(x *Exchange) Verdict
	requestBody, responseBody func(x *Exchange, chunk []byte) Verdict
	ended                     atomic.Int64
}

func (f *testHTTP) Request(x *Exchange) Verdict {
	if f.request == nil {
		return Pass
	}
	return f.request(x)
}

func (f *testHTTP) Response(x *Exchange) Verdict {
	if f.response == nil {
		return Pass
	}
	return f.response(x)
}

func (f *testHTTP) EndExchange(*Exchange) { f.ended.Add(1) }

// testHTTPBodies is one that sees bodies.
type testHTTPBodies struct{ *testHTTP }

func (f testHTTPBodies) RequestBody(x *Exchange, chunk []byte) Verdict {
	if f.requestBody == nil {
		return Pass
	}
	return f.requestBody(x, chunk)
}

func (f testHTTPBodies) ResponseBody(x *Exchange, chunk []byte) Verdict {
	if f.responseBody == nil {
		return Pass
	}
	return f.responseBody(x, chunk)
}

// attaching is a filter that attaches HTTP filters to each connection.
func attaching(filters ...HTTPFilter) *testFilter {
	return &testFilter{onEvent: func(ev *Event) Verdict {
		if ev.Type != ConnectTCP {
			return Pass
		}
		for _, f := range filters {
			if err := ev.Connection.AttachHTTPFilter(f); err != nil {
				return Fail(err.Error())
			}
		}
		return Pass
	}}
}

// later is a verdict that is given after a Hold.
func later(x *Exchange, dir Direction, v Verdict) Verdict {
	_ = x.Connection().Worker().Post(func() { _ = x.Resume(dir, v) }) // its end is part of the test
	return Hold
}

func TestHTTPFilterHeads(t *testing.T) {
	for _, held := range []bool{false, true} {
		verdict := func(x *Exchange, dir Direction) Verdict {
			if held {
				return later(x, dir, Pass)
			}
			return Pass
		}
		other := httpServerOf(t, mirror)
		f := &testHTTP{
			request: func(x *Exchange) Verdict {
				r := x.Request()
				switch string(r.Path()) {
				case "/deny":
					return Deny("not you")
				case "/fail":
					return Fail("broken")
				case "/panic":
					panic("request")
				case "/answer":
					v := Answer(418, []Field{{"X-Tea", "pot"}}, []byte("short"))
					if held {
						return later(x, Upstream, v)
					}
					return v
				}
				r.SetMethod("PUT")
				r.SetPath("/changed")
				r.SetHost("other.example")
				r.Set("X-One", "1")
				if err := x.SetUpstream("other"); err != nil {
					return Fail(err.Error())
				}
				return verdict(x, Upstream)
			},
			response: func(x *Exchange) Verdict {
				x.Response().SetStatus(203)
				x.Response().Add("X-Two", "2")
				x.Response().Remove("Date")
				return verdict(x, Downstream)
			},
		}
		g := startHTTP(t, httpServerOf(t, func(http.ResponseWriter, *http.Request) { t.Error("the wrong upstream") }), func(c *Config) {
			c.Upstreams = append(c.Upstreams, UpstreamConfig{Name: "other", Servers: []string{other}})
		}, attaching(f))
		c := g.dial(t)
		p, body := ask(t, c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
		if p.StatusCode != 203 || body != "abc" || p.Header.Get("Mirror") != "PUT /changed" || p.Header.Get("Sent-Host") != "other.example" ||
			p.Header.Get("Sent-X-One") != "1" || p.Header.Get("X-Two") != "2" || p.Header.Get("Date") != "" {
			t.Errorf("held %v: %s %q %v", held, p.Status, body, p.Header)
		}
		for path, status := range map[string]int{"/deny": 403, "/fail": 500, "/panic": 500, "/answer": 418} {
			if p, _ := ask(t, c, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n"); p.StatusCode != status {
				t.Errorf("held %v: %s: %s, want %d", held, path, p.Status, status)
			}
		}
		if n := f.ended.Load(); n != 5 {
			t.Errorf("%d exchanges have ended, want 5", n)
		}
	}
}

// Filters that change the length of bodies have the framing put right, however the
// bodies are cut.
func TestHTTPFilterBodies(t *testing.T) {
	for _, held := range []bool{false, true} {
		for _, whole := range []bool{false, true} {
			t.Run(fmt.Sprintf("held %v, whole %v", held, whole), func(t *testing.T) {
				change := func(dir Direction) func(x *Exchange, chunk []byte) Verdict {
					return func(x *Exchange, chunk []byte) Verdict {
						v := Replace(double(chunk))
						if len(chunk) == 0 {
							v = Replace([]byte("end"))
						}
						if held {
							return later(x, dir, v)
						}
						return v
					}
				}
				f := &testHTTP{requestBody: change(Upstream), responseBody: change(Downstream)}
				if whole {
					f.request = func(x *Exchange) Verdict { x.WholeBody(Upstream, 1<<20, OverflowRefuse); return Pass }
					f.response = func(x *Exchange) Verdict { x.WholeBody(Downstream, 1<<20, OverflowRefuse); return Pass }
				}
				g := startHTTP(t, httpServerOf(t, mirror), nil, attaching(testHTTPBodies{f}))
				client, url := g.httpClient(t)
				for _, size := range []int{1, 1000, 100_000} {
					for _, chunked := range []bool{false, true} {
						var body io.Reader = bytes.NewReader(random(size))
						path := "/"
						if chunked {
							body, path = struct{ io.Reader }{body}, "/?chunked"
						}
						p := must(client.Do(must(http.NewRequestWithContext(t.Context(), "POST", url+path, body))(t)))(t)
						got := must(io.ReadAll(p.Body))(t)
						check(t, p.Body.Close())
						want := append(double(append(double(random(size)), "end"...)), "end"...)
						if !bytes.Equal(got, want) {
							t.Errorf("%d bytes, chunked %v: %d bytes came back, want %d", size, chunked, len(got), len(want))
						}
						if whole && p.ContentLength != int64(len(want)) {
							t.Errorf("%d bytes, chunked %v: length %d", size, chunked, p.ContentLength)
						}
					}
				}
			})
		}
	}
}

func TestHTTPFilterOverflow(t *testing.T) {
	var overflow Overflow
	f := &testHTTP{
		request: func(x *Exchange) Verdict {
			x.WholeBody(Upstream, 10, overflow)
			return Pass
		},
		requestBody: func(*Exchange, []byte) Verdict { return Deny("it has been seen") },
	}
	g := startHTTP(t, httpServerOf(t, mirror), func(c *Config) { c.Service.Workers = 1 }, attaching(testHTTPBodies{f}))
	for _, test := range []struct {
		overflow Overflow
		body     string
		status   int
	}{{OverflowRefuse, "0123456789", 403}, {OverflowRefuse, "01234567890", 413}, {OverflowPass, "01234567890", 200}, {OverflowPass, strings.Repeat("x", 100_000), 200}} {
		check(t, g.Port().Workers()[0].Call(func() { overflow = test.overflow }))
		p, body := ask(t, g.dial(t), fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(test.body), test.body))
		if p.StatusCode != test.status || test.status == 200 && body != test.body {
			t.Errorf("%+v: %s %q", test.overflow, p.Status, body)
		}
	}
}

// What passes the filters in one piece is the same whatever the pieces are in which it
// comes.
func TestHTTPFilterByteAtATime(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	note := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, fmt.Sprintf(format, args...))
	}
	var up []byte
	f := &testHTTP{
		request: func(x *Exchange) Verdict {
			up = nil
			note("%s %s", x.Request().Method(), x.Request().Path())
			return Pass
		},
		requestBody: func(x *Exchange, chunk []byte) Verdict {
			if up = append(up, chunk...); len(chunk) == 0 {
				note("body %s, trailer %s", up, x.Trailer(Upstream).Get("x"))
			}
			return Pass
		},
		response: func(x *Exchange) Verdict { note("%d", x.Response().Status()); return Pass },
	}
	g := startHTTP(t, httpServerOf(t, mirror), func(c *Config) { c.Service.Workers = 1 }, attaching(testHTTPBodies{f}))
	text := "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n"
	for _, step := range []int{len(text), 1, 5} {
		c := g.dial(t)
		go func() {
			for rest := text; rest != ""; {
				n := min(step, len(rest))
				_, _ = io.WriteString(c, rest[:n]) // the answer tells
				rest = rest[n:]
			}
		}()
		if p, body := answerOf(t, bufio.NewReader(c), "POST"); p.StatusCode != 200 || body != "abcde" {
			t.Errorf("%s %q", p.Status, body)
		}
		mu.Lock()
		if got := strings.Join(seen, "; "); got != "POST /a; body abcde, trailer y; 200" {
			t.Errorf("%s", got)
		}
		seen = nil
		mu.Unlock()
	}
}

// A filter that holds when the client leaves must still resume, and nothing is lost.
func TestHTTPFilterHoldsAtTheEnd(t *testing.T) {
	holding := make(chan *Exchange, 1)
	f := &testHTTP{requestBody: func(x *Exchange, _ []byte) Verdict {
		holding <- x
		return Hold
	}}
	g := startHTTP(t, httpServerOf(t, mirror), nil, attaching(testHTTPBodies{f}))
	c := g.dial(t)
	_, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
	check(t, err)
	x := <-holding
	check(t, c.SetLinger(0))
	check(t, c.Close())
	// The end of the stream cannot be seen while the chunk is held, so kill it.
	check(t, g.Kill(t.Context(), x.Connection().ID(), "the test"))
	var resumed error
	check(t, x.Connection().Worker().Call(func() { resumed = x.Resume(Upstream, Pass) }))
	if resumed == nil {
		t.Error("an exchange that is over was resumed")
	}
	eventually(t, "the connection has ended", func() bool { return g.Connections() == 0 })
}

func TestHTTPFilterMisuse(t *testing.T) {
	inTCP, outside, resumed := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	f := &testFilter{onEvent: func(ev *Event) Verdict {
		if ev.Type == ConnectTCP {
			inTCP <- ev.Connection.AttachHTTPFilter(&testHTTP{})
		}
		return Pass
	}}
	g := startGateway(t, gatewayConfig("auto", serve(t, echo), f))
	g.attempt(t)
	if err := <-inTCP; !errors.Is(err, ErrNotHTTP) {
		t.Errorf("attach without HTTP: %v", err)
	}
	h := &testHTTP{request: func(x *Exchange) Verdict {
		outside <- x.Connection().AttachHTTPFilter(&testHTTP{})
		resumed <- x.Resume(Upstream, Pass)
		return Replace(nil)
	}}
	g = startHTTP(t, httpServerOf(t, mirror), nil, attaching(h))
	if p, _ := ask(t, g.dial(t), "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); p.StatusCode != 500 {
		t.Error(p.Status)
	}
	for what, err := range map[string]error{"attach outside an event": <-outside, "resume of nothing": <-resumed} {
		if !errors.Is(err, ErrBadContext) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
