package framework

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"fwx/framework/completion"
)

// Filters for bodies are told the end of every message once, with a body or without,
// however they have asked for it, and may make a body where there is none.
func TestHTTPFilterEmptyBodies(t *testing.T) {
	requests := map[string]string{ // to what a filter is given
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n":                                                         "end",
		"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n":                                                      "end",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n":                                   "end",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc":                                "body abc end",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":                 "body end",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n":     "body abc end",
		"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n":                                                        "end",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n":           "end",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n":         "end",
		"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n":            "end",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 00\r\nConnection: content-length\r\n\r\n": "end",
	}
	for _, ask := range []string{"pieces", "whole", "spool"} {
		for _, held := range []bool{false, true} {
			for _, made := range []string{"", "made"} {
				t.Run(fmt.Sprintf("%s, held %v, made %q", ask, held, made), func(t *testing.T) {
					var told [2][]string
					give := func(x *Exchange, dir Direction, v Verdict) Verdict {
						if held {
							return later(x, dir, v)
						}
						return v
					}
					begin := func(x *Exchange, dir Direction) Verdict {
						if told[dir] = nil; x.HasBody(dir) {
							told[dir] = []string{"body"}
						}
						switch ask {
						case "whole":
							check(t, x.WholeBody(dir, 64, OverflowRefuse))
						case "spool":
							check(t, x.WholeBody(dir, 64, OverflowSpool))
						}
						return give(x, dir, Pass)
					}
					body := func(x *Exchange, dir Direction, chunk []byte) Verdict {
						if len(chunk) > 0 {
							told[dir] = append(told[dir], string(chunk))
							return give(x, dir, Pass)
						}
						told[dir] = append(told[dir], "end")
						if made == "" {
							return give(x, dir, Pass)
						}
						return give(x, dir, Replace([]byte(made)))
					}
					m := newMachine(t)
					var head string
					m.server(func(c *memoryConn, text string) {
						head = text
						c.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
						c.text = ""
					})
					m.start(func(c *Config) {
						addFilter(c, attaching(testHTTPBodies{&testHTTP{
							request:      func(x *Exchange) Verdict { return begin(x, Upstream) },
							response:     func(x *Exchange) Verdict { return begin(x, Downstream) },
							requestBody:  func(x *Exchange, chunk []byte) Verdict { return body(x, Upstream, chunk) },
							responseBody: func(x *Exchange, chunk []byte) Verdict { return body(x, Downstream, chunk) },
						}}))
					})
					for text, want := range requests {
						answer := m.ask(m.client(), text)
						if got := strings.Join(told[Upstream], " "); got != want {
							t.Errorf("%q: a filter is given %q, want %q", text, got, want)
						}
						if got := strings.Join(told[Downstream], " "); got != "end" {
							t.Errorf("%q: a filter is given %q of the response", text, got)
						}
						length, content := "\r\nContent-Length: 0", ""
						if made != "" {
							length, content = "\r\nContent-Length: 4", made
						}
						if strings.HasPrefix(text, "HEAD") {
							length, content = "200 OK", ""
						}
						if !strings.Contains(answer, length) || !strings.HasSuffix(answer, "\r\n\r\n"+content) {
							t.Errorf("%q is answered with %q", text, answer)
						}
						framed := strings.Contains(head, "Content-Length") || strings.Contains(head, "chunked")
						if wants := made != "" || strings.Contains(text, "Content-Length") || strings.Contains(text, "chunked"); framed != wants {
							t.Errorf("%q goes on as %q", text, head)
						}
					}
				})
			}
		}
	}
}

// What a filter keeps until the end goes through those after it as a chunk of its own, and
// each is told the end once.
func TestHTTPFilterEndsInTurn(t *testing.T) {
	for _, backend := range completion.Backends() {
		for _, text := range []string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"} {
			for _, limit := range []int{0, 64} {
				for _, held := range []bool{false, true} {
					var told []string
					adding := func(mark string) testHTTPBodies {
						return testHTTPBodies{&testHTTP{
							request: func(x *Exchange) Verdict {
								if limit > 0 {
									check(t, x.WholeBody(Upstream, limit, OverflowRefuse))
								}
								return Pass
							},
							requestBody: func(x *Exchange, chunk []byte) Verdict {
								told = append(told, mark+":"+string(chunk))
								v := Pass
								if len(chunk) == 0 {
									v = Replace([]byte(mark))
								}
								if held {
									return later(x, Upstream, v)
								}
								return v
							},
						}}
					}
					g := startGateway(t, httpConfig(backend, httpServerOf(t, mirror), attaching(adding("1"), adding("2"), adding("3"))))
					c := g.dial(t)
					_, body := ask(t, c, text)
					check(t, c.Close())
					g.stop(t) // what the filters were told can be read now
					want := []string{"1:", "2:1", "2:", "3:12", "3:"}
					if strings.HasPrefix(text, "POST") && limit > 0 {
						want = []string{"1:abc", "1:", "2:abc1", "2:", "3:abc12", "3:"}
					} else if strings.HasPrefix(text, "POST") {
						want = slices.Concat([]string{"1:abc", "2:abc", "3:abc"}, want)
					}
					content := strings.TrimPrefix(text[strings.Index(text, "\r\n\r\n"):], "\r\n\r\n") + "123"
					if body != content || !slices.Equal(told, want) {
						t.Errorf("%s, %q, limit %d, held %v: %q, told %q, want %q", backend, text[:4], limit, held, body, told, want)
					}
				}
			}
		}
	}
}

// A request to which filters have given a body is not sent again without it.
func TestHTTPMadeBodyIsNotLost(t *testing.T) {
	m := newMachine(t)
	heads := 0
	m.server(func(c *memoryConn, _ string) { heads++; c.ended().Close() })
	m.start(func(c *Config) {
		addFilter(c, attaching(testHTTPBodies{&testHTTP{requestBody: func(*Exchange, []byte) Verdict { return Replace([]byte("made")) }}}))
	})
	if status := m.get(getRequest); status != "502" || heads != 1 {
		t.Errorf("%s after %d requests", status, heads)
	}
}
