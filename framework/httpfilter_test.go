package framework

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
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

// passIfDone is the verdict of a filter that lets pass what it was told, unless it has failed.
func passIfDone(err error) Verdict {
	if err != nil {
		return Fail(err.Error())
	}
	return Pass
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
				check(t, errors.Join(r.SetMethod("PUT"), r.SetPath("/changed"), r.SetHost("other.example"), r.Set("X-One", "1"), x.SetUpstream("other")))
				return verdict(x, Upstream)
			},
			response: func(x *Exchange) Verdict {
				p := x.Response()
				check(t, errors.Join(p.SetStatus(203), p.Add("X-Two", "2"), p.Remove("Date")))
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
					f.request = func(x *Exchange) Verdict { return passIfDone(x.WholeBody(Upstream, 1<<20, OverflowRefuse)) }
					f.response = func(x *Exchange) Verdict { return passIfDone(x.WholeBody(Downstream, 1<<20, OverflowRefuse)) }
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
			return passIfDone(x.WholeBody(Upstream, 10, overflow))
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

// wholly is a filter that asks for the bodies of a direction as a whole, and denies what it
// is given of them.
func wholly(dir Direction, limit int, overflow Overflow) testHTTPBodies {
	ask := func(at Direction) func(x *Exchange) Verdict {
		return func(x *Exchange) Verdict {
			if at == dir {
				return passIfDone(x.WholeBody(dir, limit, overflow))
			}
			return Pass
		}
	}
	see := func(at Direction) func(*Exchange, []byte) Verdict {
		return func(*Exchange, []byte) Verdict {
			if at == dir {
				return Deny("it has been seen")
			}
			return Pass
		}
	}
	return testHTTPBodies{&testHTTP{request: ask(Upstream), response: ask(Downstream), requestBody: see(Upstream), responseBody: see(Downstream)}}
}

// A response that is too long to be gathered is refused, or passes as it came.
func TestHTTPFilterOverflowOfResponse(t *testing.T) {
	for _, test := range []struct {
		overflow Overflow
		size     int
		status   int
	}{
		{OverflowRefuse, 10, 403},
		{OverflowRefuse, 11, 502},
		{OverflowSpool, 11, 502},
		{OverflowPass, 10, 403},
		{OverflowPass, 11, 200},
		{OverflowPass, 100_000, 200},
	} {
		for _, framing := range []string{"length", "chunks", "close"} {
			name := fmt.Sprintf("overflow %d, %d bytes, %s", test.overflow, test.size, framing)
			want := strings.Repeat("x", test.size)
			fields, body := framed(framing, want)
			server := serverSaying(t, func(c *net.TCPConn, r *bufio.Reader) {
				for readHead(r) {
					slowly(c, "HTTP/1.1 200 OK\r\n"+fields+"\r\n"+body, 1+len(body)/20)
					if framing == "close" {
						return
					}
				}
			})
			g := startHTTP(t, server, nil, attaching(wholly(Downstream, 10, test.overflow)))
			c := g.dial(t)
			r := bufio.NewReader(c)
			for range 2 { // the connection goes on
				_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				check(t, err)
				p, got := answerOf(t, r, "GET")
				if p.StatusCode != test.status || test.status == 200 && got != want {
					t.Errorf("%s: %s with %d bytes", name, p.Status, len(got))
				}
				if length := p.ContentLength; test.status == 200 && (length >= 0) != (framing == "length") {
					t.Errorf("%s: it has a length of %d", name, length)
				}
			}
			check(t, c.Close())
		}
	}
}

// A body that passes those who want it whole, or is on the disk for one who does, is seen
// in pieces by who has not asked for it.
func TestHTTPFilterOverflowBeside(t *testing.T) {
	const size = 20_000
	want := strings.Repeat("x", size)
	for _, dir := range []Direction{Upstream, Downstream} {
		for _, held := range []bool{false, true} {
			var mu sync.Mutex
			var seen strings.Builder
			see := func(x *Exchange, chunk []byte) Verdict {
				mu.Lock()
				defer mu.Unlock()
				if seen.Write(chunk); len(chunk) == 0 {
					seen.WriteString(".")
				}
				if held {
					return later(x, dir, Pass)
				}
				return Pass
			}
			pieces := testHTTPBodies{&testHTTP{}}
			pass, spool := wholly(dir, 10, OverflowPass), HTTPFilter(spooling(1000, func(_ *Exchange, body *Spool) Verdict {
				if body.Size() != size {
					return Fail("it is not all of it")
				}
				return Pass
			}))
			if dir == Upstream {
				pieces.requestBody = see
			} else {
				pieces.responseBody = see
			}
			for name, filters := range map[string][]HTTPFilter{
				"pass, pieces": {pass, pieces}, "pieces, pass": {pieces, pass},
				"spool, pass, pieces": {spool, pass, pieces}, "pass, pieces, spool": {pass, pieces, spool},
			} {
				g := startHTTP(t, httpServerOf(t, mirror), nil, attaching(filters...))
				c := g.dial(t)
				for range 2 {
					p, got := ask(t, c, fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", size, want))
					mu.Lock()
					if p.StatusCode != 200 || got != want || seen.String() != want+"." {
						t.Errorf("%v, held %v, %s: %s, %d bytes came back, and %d were seen", dir, held, name, p.Status, len(got), seen.Len())
					}
					seen.Reset()
					mu.Unlock()
				}
				check(t, c.Close())
			}
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
