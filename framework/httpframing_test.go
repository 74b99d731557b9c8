package framework

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"fwx/framework/wire/http1"
)

// framings are the ways in which a server says where its answer ends, with what follows
// the head.
var framings = map[string]struct{ fields, content string }{
	"nothing":     {"", "hello"}, // until it closes
	"length":      {"Content-Length: 5\r\n", "hello"},
	"length zero": {"Content-Length: 0\r\n", ""},
	"chunks":      {"Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"},
	"no chunk":    {"Transfer-Encoding: chunked\r\n", "0\r\n\r\n"},
}

// hasContent reports whether an answer has content as far as method and status go.
func hasContent(method string, status int) bool {
	return !http1.Bodiless([]byte(method), status)
}

// wantFramed reads a response to a method as net/http does, and checks that it has a
// status and content, and that its head says no more than it may.
func wantFramed(r *bufio.Reader, method string, status int, content string) error {
	p, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		return err
	}
	body, err := io.ReadAll(p.Body)
	switch {
	case err != nil:
		return err
	case p.StatusCode != status || string(body) != content:
		return fmt.Errorf("%d %q, want %d %q", p.StatusCode, body, status, content)
	case status == 204 && (p.Header.Get("Content-Length") != "" || p.TransferEncoding != nil):
		return fmt.Errorf("%d has Content-Length %q, Transfer-Encoding %q", status, p.Header.Get("Content-Length"), p.TransferEncoding)
	case status == 205 && p.ContentLength > 0:
		return fmt.Errorf("%d has the length %d", status, p.ContentLength)
	}
	return nil
}

// alone reports what is left when nothing should be.
func alone(r *bufio.Reader) error {
	if rest, _ := io.ReadAll(r); len(rest) > 0 { // it is all in memory
		return fmt.Errorf("%q is left", rest)
	}
	return nil
}

// What the client reads ends where its method and the status that it is sent say, whatever
// filters have made of the method and the status, and the connection goes on.
func TestHTTPFraming(t *testing.T) {
	methods, statuses := []string{"GET", "HEAD", "POST"}, []int{200, 204, 205, 304, 404}
	for _, bodies := range []string{"unseen", "seen", "whole"} {
		for _, held := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, held %v", bodies, held), func(t *testing.T) {
				var asked, sent, framing string
				var from, to int
				give := func(x *Exchange, dir Direction) Verdict {
					if held {
						return later(x, dir, Pass)
					}
					return Pass
				}
				f := &testHTTP{
					request: func(x *Exchange) Verdict {
						if string(x.Request().Path()) == "/" {
							check(t, x.Request().SetMethod(sent))
						}
						return give(x, Upstream)
					},
					response: func(x *Exchange) Verdict {
						if string(x.Request().Path()) == "/" {
							check(t, x.Response().SetStatus(to))
						}
						if bodies == "whole" {
							check(t, x.WholeBody(Downstream, 64, OverflowRefuse))
						}
						return give(x, Downstream)
					},
					responseBody: func(x *Exchange, _ []byte) Verdict { return give(x, Downstream) },
				}
				var filter HTTPFilter = f
				if bodies != "unseen" {
					filter = testHTTPBodies{f}
				}
				m := newMachine(t)
				m.server(func(c *memoryConn, head string) {
					if !strings.Contains(head, " / ") {
						c.say(okAnswer)
						return
					}
					method, _, _ := strings.Cut(head, " ")
					text := fmt.Sprintf("HTTP/1.1 %d -\r\n%s\r\n", from, framings[framing].fields)
					if hasContent(method, from) {
						text += framings[framing].content
					}
					c.say(text)
					if framing == "nothing" {
						c.ended().Close()
					}
				})
				m.start(func(c *Config) { addFilter(c, attaching(filter)) })
				client, tried := m.client(), 0
				for _, asked = range methods {
					for _, sent = range methods {
						for _, from = range statuses {
							for _, to = range statuses {
								for framing = range framings {
									content := ""
									if hasContent(sent, from) && hasContent(asked, to) && to != 205 && strings.Contains(framings[framing].content, "hello") {
										content = "hello"
									}
									tried++
									r := bufio.NewReader(strings.NewReader(m.ask(client, asked+" / HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n")))
									err := wantFramed(r, asked, to, content)
									if err == nil {
										err = wantFramed(r, "GET", 200, "ok")
									}
									if err == nil {
										err = alone(r)
									}
									if err != nil {
										t.Errorf("%s sent as %s, %d with %s sent as %d: %v", asked, sent, from, framing, to, err)
										client.Close()
										m.settle()
										client = m.client()
									}
								}
							}
						}
					}
				}
				if want := 3 * 3 * 5 * 5 * 5; tried != want {
					t.Errorf("%d were tried, want %d", tried, want)
				}
			})
		}
	}
}

// A content that was not sent on does not cost the connection to the server, if it came
// with the head; otherwise that ends, and what comes of it is nobody's answer.
func TestHTTPFramingDiscards(t *testing.T) {
	for rest, connections := range map[string]int{"hello": 1, "hel": 2, "": 2} {
		m := newMachine(t)
		s := m.server(func(c *memoryConn, head string) {
			if strings.Contains(head, " / ") {
				c.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + rest)
			} else {
				c.say(okAnswer)
			}
		})
		m.start(func(c *Config) {
			addFilter(c, attaching(&testHTTP{response: func(x *Exchange) Verdict {
				if string(x.Request().Path()) == "/" {
					check(t, x.Response().SetStatus(204))
				}
				return Pass
			}}))
		})
		client := m.client()
		for range 2 {
			for path, status := range map[string]int{"/": 204, "/next": 200} {
				r := bufio.NewReader(strings.NewReader(m.ask(client, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n")))
				check(t, wantFramed(r, "GET", status, map[int]string{200: "ok"}[status]))
			}
		}
		if n := len(s.conns); connections == 1 && n != 1 || connections > 1 && n < 2 {
			t.Errorf("%q came with the head: %d connections to the server", rest, n)
		}
	}
}

// To a client of HTTP/1.0 an answer without content does not end with the connection.
func TestHTTPFramingOldClient(t *testing.T) {
	for _, to := range []int{200, 204, 304} {
		m := newMachine(t)
		m.server(func(c *memoryConn, _ string) {
			c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
		})
		m.start(func(c *Config) {
			addFilter(c, attaching(&testHTTP{response: func(x *Exchange) Verdict {
				check(t, x.Response().SetStatus(to))
				return Pass
			}}))
		})
		c := m.client()
		text := m.ask(c, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
		content := map[int]string{200: "hello"}[to]
		r := bufio.NewReader(strings.NewReader(text))
		check(t, wantFramed(r, "GET", to, content))
		check(t, alone(r))
		if c.over != (to == 200) {
			t.Errorf("%d: the connection has ended: %v\n%s", to, c.over, text)
		}
	}
}

// The answers that are made here end as those of servers do: of filters, from memory and
// from files, of routes, and error pages.
func TestHTTPFramingOfAnswers(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "f"), []byte("hello"), 0o600))
	answer := func(x *Exchange) Verdict {
		r := x.Request()
		kind, text, _ := strings.Cut(string(r.Path())[1:], "/")
		text, sent, _ := strings.Cut(text, "/")
		status, _ := strconv.Atoi(text) // none: 0
		_ = r.SetMethod(sent)           // without one it stays
		switch kind {
		case "answer":
			return Answer(status, nil, []byte("hello"))
		case "file":
			check(t, r.SetPath("/f"))
			return answeringFiles(t, dir, status, nil, nil).request(x)
		}
		return Deny("no")
	}
	g := startHTTP(t, httpServerOf(t, func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") }), func(c *Config) {
		for _, status := range []int{204, 205, 304} {
			c.Listeners[0].Routes = append(c.Listeners[0].Routes, RouteConfig{Path: fmt.Sprintf("/route/%d", status), Status: status, Body: "hello"})
		}
	}, attaching(&testHTTP{request: func(x *Exchange) Verdict {
		if strings.HasPrefix(string(x.Request().Path()), "/route") {
			return Pass
		}
		return answer(x)
	}}))
	c := g.dial(t)
	r := bufio.NewReader(c)
	for _, kind := range []string{"answer", "file", "route"} {
		for _, asked := range []string{"GET", "HEAD", "POST"} {
			for _, sent := range []string{"GET", "HEAD", "POST"} {
				for _, status := range []int{200, 204, 205, 304, 404} {
					if kind == "route" && !slices.Contains([]int{204, 205, 304}, status) {
						continue
					}
					content := ""
					if hasContent(asked, status) && status != 205 {
						content = "hello"
					}
					_, err := fmt.Fprintf(c, "%s /%s/%d/%s HTTP/1.1\r\nHost: a\r\n\r\n", asked, kind, status, sent)
					check(t, err)
					if err := wantFramed(r, asked, status, content); err != nil {
						t.Fatalf("%s %d to %s sent as %s: %v", kind, status, asked, sent, err)
					}
				}
			}
		}
	}
}

// Interim answers and switches of protocol have no length, whatever the server says.
func TestHTTPFramingOfInterims(t *testing.T) {
	m := newMachine(t)
	m.server(func(c *memoryConn, head string) {
		c.say("HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nLink: </a>\r\n\r\n")
		if strings.Contains(head, "websocket") {
			c.say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 5\r\n" + acceptField + "\r\n")
			return
		}
		c.say(okAnswer)
	})
	m.start(nil)
	for _, text := range []string{getRequest, upgradeRequest} {
		answer := m.ask(m.client(), text)
		interim, final, _ := strings.Cut(answer, "\r\n\r\n")
		if !strings.Contains(interim, "Link: </a>") || strings.Contains(interim, "Content-Length") || strings.Contains(final, "101") && strings.Contains(final, "Content-Length") {
			t.Errorf("%q", answer)
		}
	}
}
