package framework

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// tally is what has arrived of a message: how it was framed, its body and its trailers.
func tally(body io.Reader, transferEncoding []string, trailer *http.Header) string {
	content, err := io.ReadAll(body)
	return fmt.Sprint(slices.Contains(transferEncoding, "chunked"), " ", string(content), " ", *trailer, " ", err)
}

// trailing is a filter that changes the trailers of both directions when it is given the
// end of a body, and looks whether they are there before.
func trailing(t *testing.T, held, whole bool, change func(h Fields)) HTTPFilter {
	t.Helper()
	begin := func(x *Exchange, dir Direction) Verdict {
		if whole {
			check(t, x.WholeBody(dir, 100, OverflowRefuse))
		}
		if x.Trailer(dir).Len() > 0 || x.Trailer(Downstream).Len() > 0 {
			t.Error("there are trailers before the body has come")
		}
		return Pass
	}
	see := func(x *Exchange, dir Direction, chunk []byte) Verdict {
		switch {
		case len(chunk) > 0:
			return Pass
		case held:
			check(t, x.Connection().Worker().Post(func() {
				change(x.Trailer(dir))
				check(t, x.Resume(dir, Pass))
			}))
			return Hold
		}
		change(x.Trailer(dir))
		return Pass
	}
	return testHTTPBodies{&testHTTP{
		request:      func(x *Exchange) Verdict { return begin(x, Upstream) },
		response:     func(x *Exchange) Verdict { return begin(x, Downstream) },
		requestBody:  func(x *Exchange, chunk []byte) Verdict { return see(x, Upstream, chunk) },
		responseBody: func(x *Exchange, chunk []byte) Verdict { return see(x, Downstream, chunk) },
	}}
}

// Filters change the trailers of bodies that go on in chunks, in both directions.
func TestHTTPFilterTrailers(t *testing.T) {
	const (
		chunks = "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nCheck: 1\r\nGone: 2\r\nKept: 3\r\nCHECK: 4\r\ngone: 5\r\n\r\n"
		length = "Content-Length: 3\r\n\r\nabc"
	)
	all := func(h Fields) {
		check(t, errors.Join(h.Set("check", "changed"), h.Remove("gone"), h.Add("Added", "1"), h.Add("Added", "2")))
	}
	for _, test := range []struct {
		name, message string
		whole         bool
		change        func(h Fields)
		want          string
	}{
		{"none of them", chunks, false, func(Fields) {}, "true abc map[Check:[1 4] Gone:[2 5] Kept:[3]] <nil>"},
		{"all kinds of changes", chunks, false, all, "true abc map[Added:[1 2] Check:[changed] Kept:[3]] <nil>"},
		{"one is set that was not there", chunks, false, func(h Fields) { check(t, h.Set("New", "x")) }, "true abc map[Check:[1 4] Gone:[2 5] Kept:[3] New:[x]] <nil>"},
		{"all are removed", chunks, false, func(h Fields) {
			for h.Len() > 0 {
				check(t, h.Remove(string(h.Name(0))))
			}
		}, "true abc map[] <nil>"},
		{"behind a body with a length", length, false, all, "true abc map[Added:[1 2] Check:[changed]] <nil>"},
		{"of a body that is gathered", chunks, true, func(h Fields) {
			if string(h.Get("kept")) != "3" {
				t.Error("the trailers of a body that was gathered are not there")
			}
			if err := h.Set("check", "changed"); !errors.Is(err, ErrBadContext) {
				t.Errorf("trailers that are not sent can be changed: %v", err)
			}
		}, "false abc map[] <nil>"},
	} {
		for _, held := range []bool{false, true} {
			name := fmt.Sprintf("%s, held %v", test.name, held)
			arrived := make(chan string, 1)
			server := serverSaying(t, func(c *net.TCPConn, r *bufio.Reader) {
				for {
					p, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					arrived <- tally(p.Body, p.TransferEncoding, &p.Trailer)
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+test.message) // the client tells
				}
			})
			c := startHTTP(t, server, nil, attaching(trailing(t, held, test.whole, test.change))).dial(t)
			r := bufio.NewReader(c)
			for range 2 { // what the first leaves the second must not have
				go slowly(c, "POST / HTTP/1.1\r\nHost: a\r\n"+test.message, 1)
				p := must(http.ReadResponse(r, nil))(t)
				if got := tally(p.Body, p.TransferEncoding, &p.Trailer); got != test.want {
					t.Errorf("%s: the client has had %s, want %s", name, got, test.want)
				}
				if got := <-arrived; got != test.want {
					t.Errorf("%s: the server has had %s, want %s", name, got, test.want)
				}
			}
			check(t, c.Close())
		}
	}
}

// A client of HTTP/1.0 is sent no trailers, since it is sent no chunks.
func TestHTTPFilterTrailersOldClient(t *testing.T) {
	g := startHTTP(t, httpServerOf(t, mirror), nil, attaching(trailing(t, false, false, func(h Fields) { check(t, h.Set("Sum", "x")) })))
	got := g.say(t, "POST /?chunked&size=3 HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
	if !strings.HasSuffix(got, "\r\n\r\n"+string(random(3))) {
		t.Errorf("%q", got)
	}
}

// endingTrailers notes what trailers of the response there are at the end of an exchange.
type endingTrailers struct {
	testHTTPBodies

	seen chan string
}

func (f endingTrailers) EndExchange(x *Exchange) {
	f.seen <- string(x.Trailer(Downstream).Append(nil))
}

// An answer of the gateway's own has no trailers, also where the exchange before had some.
func TestHTTPTrailersOfAnother(t *testing.T) {
	f := endingTrailers{testHTTPBodies{&testHTTP{request: func(x *Exchange) Verdict {
		if string(x.Request().Path()) == "/answer" {
			return Answer(204, nil, nil)
		}
		return Pass
	}}}, make(chan string, 2)}
	g := startHTTP(t, httpServerOf(t, mirror), func(c *Config) { c.Service.Workers = 1 }, attaching(f))
	c := g.dial(t)
	for _, test := range []struct{ path, want string }{{"/?chunked&size=3", "Sum: 3\r\n"}, {"/answer", ""}} {
		ask(t, c, "GET "+test.path+" HTTP/1.1\r\nHost: a\r\n\r\n")
		if got := <-f.seen; got != test.want {
			t.Errorf("%s: %q, want %q", test.path, got, test.want)
		}
	}
}
