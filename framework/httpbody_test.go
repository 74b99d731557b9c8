package framework

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"fwx/framework/wire/coding"
)

func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text) // into memory
	_ = w.Close()
	return b.String()
}

// decoding is a filter that has bodies decoded, whole if there is a limit, and makes
// their letters upper case.
func decoding(held bool, limit int) HTTPFilter {
	begin := func(x *Exchange, dir Direction) Verdict {
		if err := x.DecodeBody(dir); err != nil {
			return Deny(err.Error())
		}
		if limit > 0 {
			return passIfDone(x.WholeBody(dir, limit, OverflowRefuse))
		}
		return Pass
	}
	raise := func(x *Exchange, dir Direction, chunk []byte) Verdict {
		v := Replace(bytes.ToUpper(chunk))
		if held {
			return later(x, dir, v)
		}
		return v
	}
	return testHTTPBodies{&testHTTP{
		request:      func(x *Exchange) Verdict { return begin(x, Upstream) },
		response:     func(x *Exchange) Verdict { return begin(x, Downstream) },
		requestBody:  func(x *Exchange, chunk []byte) Verdict { return raise(x, Upstream, chunk) },
		responseBody: func(x *Exchange, chunk []byte) Verdict { return raise(x, Downstream, chunk) },
	}}
}

// framed returns the fields that frame a body, and the body as they say.
func framed(framing, body string) (fields, text string) {
	switch framing {
	case "length":
		return fmt.Sprintf("Content-Length: %d\r\n", len(body)), body
	case "chunks":
		half := len(body) / 2
		return "Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", half, body[:half], len(body)-half, body[half:])
	default: // until the close
		return "", body
	}
}

// slowly writes a text in pieces of a size.
func slowly(w io.Writer, text string, size int) {
	for len(text) > 0 {
		n := min(size, len(text))
		if _, err := io.WriteString(w, text[:n]); err != nil {
			return // the other side tells
		}
		text = text[n:]
	}
}

func TestDecodedBodies(t *testing.T) {
	small, large := "some words, gzipped", strings.Repeat("many of them; ", 100_000)
	for _, held := range []bool{false, true} {
		for _, limit := range []int{0, 2 << 20} {
			var answer atomic.Value // what the server says
			server := serverSaying(t, func(c *net.TCPConn, r *bufio.Reader) {
				request := must(http.ReadRequest(r))(t)
				body := must(io.ReadAll(request.Body))(t)
				if coded := request.Header.Get("Content-Encoding"); coded != "" {
					t.Errorf("the request came as %s", coded)
				}
				if got := string(body); got != "" && got != strings.ToUpper(small) && got != strings.ToUpper(large) {
					t.Errorf("the request came with %d bytes, %.100q", len(got), got)
				}
				if whole := limit > 0; len(body) > 0 && whole != (request.ContentLength >= 0) {
					t.Errorf("the request came with a length of %d", request.ContentLength)
				}
				slowly(c, answer.Load().(string), 1+len(answer.Load().(string))/100)
			})
			g := startHTTP(t, server, nil, attaching(decoding(held, limit)))
			for _, text := range []string{small, large} {
				for _, framing := range []string{"length", "chunks", "close"} {
					name := fmt.Sprintf("held %v, limit %d, %d bytes, %s", held, limit, len(text), framing)
					fields, body := framed(framing, gzipped(text))
					answer.Store("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nETag: \"x\"\r\nAccept-Ranges: bytes\r\nContent-MD5: x\r\n" +
						fields + "Connection: close\r\n\r\n" + body)
					c := g.dial(t)
					if framing == "close" {
						fields, body = "", ""
					}
					slowly(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\n"+fields+"\r\n"+body, 1+len(body)/100)
					p, got := answerOf(t, bufio.NewReader(c), "POST")
					if got != strings.ToUpper(text) {
						t.Errorf("%s: %s, %d bytes, %.100q", name, p.Status, len(got), got)
					}
					if h := p.Header; h.Get("Content-Encoding") != "" || h.Get("ETag") != `W/"x"` || h.Get("Accept-Ranges") != "none" || h.Get("Content-MD5") != "" ||
						limit > 0 && p.ContentLength != int64(len(text)) {
						t.Errorf("%s: %v", name, h)
					}
					check(t, c.Close())
				}
			}
		}
	}
}

// A spooled body is on the disk as it was decoded, and goes on with its new length.
func TestDecodedSpool(t *testing.T) {
	for _, size := range []int{1000, 1 << 20} {
		var shown atomic.Int64
		want := random(size)
		f := spooling(1000, func(x *Exchange, body *Spool) Verdict {
			shown.Add(1)
			readSpool(x, body, func(content []byte, err error) {
				v := Pass
				if err != nil || !bytes.Equal(content, want) {
					v = Fail(fmt.Sprintf("%d bytes, %v", len(content), err))
				}
				_ = x.Resume(Upstream, v) // it is held
			})
			return Hold
		})
		ask := f.request
		f.request = func(x *Exchange) Verdict {
			check(t, x.DecodeBody(Upstream))
			return ask(x)
		}
		change := func(c *Config) { c.Listeners[0].HTTP.MaxDecoded = 1 << 20 }
		client, url := startSpool(t, "auto", change, f).httpClient(t)
		for _, test := range []struct{ status, more int }{{200, 0}, {413, 1 << 20}} {
			body := gzipped(string(want) + strings.Repeat("x", test.more))
			r := must(http.NewRequestWithContext(t.Context(), "POST", url+"/", strings.NewReader(body)))(t)
			r.Header.Set("Content-Encoding", "gzip")
			p := must(client.Do(r))(t)
			got := must(io.ReadAll(p.Body))(t)
			check(t, p.Body.Close())
			if p.StatusCode != test.status || p.StatusCode == 200 && (!bytes.Equal(got, want) || p.Header.Get("Sent-Content-Length") != strconv.Itoa(size)) {
				t.Errorf("%d bytes and %d more: %s, %d bytes, length %s", size, test.more, p.Status, len(got), p.Header.Get("Sent-Content-Length"))
			}
		}
		if (shown.Load() == 1) != (size > 1000) {
			t.Errorf("%d bytes: shown %d times", size, shown.Load())
		}
	}
}

// What cannot be decoded, and what is not to be.
func TestUndecodableBodies(t *testing.T) {
	bomb := gzipped(strings.Repeat("x", 1001))
	for _, test := range []struct {
		name, fields, body string
		request, response  int // statuses; 0: the response is broken off if it has begun, and 502 otherwise
	}{
		{"as long as may be", "Content-Encoding: gzip", gzipped(strings.Repeat("x", 1000)), 200, 200},
		{"a bomb", "Content-Encoding: gzip", bomb, 413, 0},
		{"a bomb in a bomb", "Content-Encoding: gzip, gzip", gzipped(bomb), 413, 0},
		{"damaged", "Content-Encoding: gzip", "hello", 400, 0},
		{"incomplete", "Content-Encoding: deflate", "x", 400, 0},
		{"something behind it", "Content-Encoding: gzip", gzipped("hello") + "x", 400, 0},
		{"an unknown coding", "Content-Encoding: br", "hello", 403, 403},
		{"a part", "Content-Encoding: gzip\r\nContent-Range: bytes 0-4/9", "hello", 403, 403},
		{"no coding", "Content-Encoding: identity", "hello", 200, 200},
		{"nothing", "Content-Encoding: gzip", "", 200, 200},
	} {
		for _, limit := range []int{0, 5000} {
			fields, body := framed("length", test.body)
			message := test.fields + "\r\n" + fields + "\r\n" + body
			decode := decoding(false, limit)
			change := func(c *Config) { c.Listeners[0].HTTP.MaxDecoded = 1000 }
			g := startHTTP(t, httpServerOf(t, mirror), change, attaching(decode))
			p, _ := ask(t, g.dial(t), "POST / HTTP/1.1\r\nHost: a\r\n"+message)
			if p.StatusCode != test.request {
				t.Errorf("%s in a request, limit %d: %s", test.name, limit, p.Status)
			}
			g = startHTTP(t, serverSaying(t, func(c *net.TCPConn, r *bufio.Reader) {
				readHead(r)
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+message) // the client tells
				readHead(r)
			}), change, attaching(decode))
			status, want := 0, test.response
			if want == 0 && limit > 0 {
				want = 502
			}
			c := g.dial(t)
			_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			check(t, err)
			if p, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil {
				if _, err = io.ReadAll(p.Body); err == nil {
					status = p.StatusCode
				}
			}
			if status != want {
				t.Errorf("%s in a response, limit %d: %d", test.name, limit, status)
			}
			check(t, c.Close())
			if counted := g.counts(metricUndecodable); counted != (test.response == 0) {
				t.Errorf("%s in a response: counted %v", test.name, counted)
			}
		}
	}
}

// counts reports whether a metric has counted anything.
func (g *gateway) counts(metric string) bool {
	for _, family := range g.Measure(context.Background()) {
		for _, s := range family.Samples {
			if family.Name == metric && s.Value > 0 {
				return true
			}
		}
	}
	return false
}

// The head of what HEAD is answered with is that of the decoded body, and what comes
// outside of a handler is refused.
func TestDecodeBodyEdges(t *testing.T) {
	late := make(chan error, 1) // from the worker
	f := &testHTTP{response: func(x *Exchange) Verdict {
		late <- x.DecodeBody(Upstream)
		return Pass
	}}
	server := httpServerOf(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Length", "100")
		w.Header().Set("ETag", `W/"x"`)
	})
	g := startHTTP(t, server, nil, attaching(decoding(false, 0), f))
	c := g.dial(t)
	_, err := io.WriteString(c, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
	check(t, err)
	p, _ := answerOf(t, bufio.NewReader(c), "HEAD")
	if h := p.Header; h.Get("Content-Encoding") != "" || h.Get("Content-Length") != "" || h.Get("ETag") != `W/"x"` {
		t.Errorf("%s %v", p.Status, h)
	}
	if err := <-late; !errors.Is(err, ErrBadContext) {
		t.Error(err)
	}
}

// While a large body is decoded others have their turn.
func TestDecodingTakesTurns(t *testing.T) {
	const size = 20 << 20
	var decoded, at atomic.Int64 // written on the worker
	f := testHTTPBodies{&testHTTP{
		request: func(x *Exchange) Verdict {
			check(t, x.DecodeBody(Upstream))
			return Pass
		},
		requestBody: func(x *Exchange, chunk []byte) Verdict {
			if decoded.Load() == 0 {
				check(t, x.Connection().Worker().Post(func() { at.Store(decoded.Load()) }))
			}
			decoded.Add(int64(len(chunk)))
			return Drop
		},
	}}
	g := startHTTP(t, httpServerOf(t, mirror), nil, attaching(f))
	fields, body := framed("length", gzipped(strings.Repeat("x", size)))
	c := g.dial(t)
	_, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\n"+fields+"\r\n"+body)
	check(t, err)
	check(t, c.CloseWrite()) // what was sent is still decoded
	if p, got := answerOf(t, bufio.NewReader(c), "POST"); p.StatusCode != 200 || got != "" {
		t.Errorf("%s %.100q", p.Status, got)
	}
	if n, first := decoded.Load(), at.Load(); n != size || first == 0 || first > 2*maxTurn {
		t.Errorf("%d bytes, and others had their turn after %d", n, first)
	}
}

// What a program brings along is known, too.
func TestConfigCodings(t *testing.T) {
	g := startHTTP(t, httpServerOf(t, mirror), func(c *Config) {
		c.Codings = coding.Codings{"same": func(r io.Reader) (io.Reader, error) { return r, nil }}
	}, attaching(decoding(false, 0)))
	p, got := ask(t, g.dial(t), "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: same\r\nContent-Length: 5\r\n\r\nhello")
	if p.StatusCode != 200 || got != "HELLO" || p.Header.Get("Sent-Content-Encoding") != "" {
		t.Errorf("%s %q %v", p.Status, got, p.Header)
	}
}
