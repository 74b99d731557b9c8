package scripting

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// serveFramed runs a server that answers "GET /STATUS/FRAMING" as it says, with "hello"
// where the method and the status let it.
func serveFramed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // The test ends it.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answerFramed(c)
		}
	}()
	return l.Addr().String()
}

func answerFramed(c net.Conn) {
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	for {
		q, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		parts := strings.Split(q.URL.Path, "/")
		status, _ := strconv.Atoi(parts[1])
		fields, content := "Content-Length: 5", "hello"
		switch parts[2] {
		case "chunked":
			fields, content = "Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"
		case "close":
			fields = "Connection: close"
		}
		if q.Method == "HEAD" || status == 204 || status == 304 {
			content = ""
		}
		if _, err := fmt.Fprintf(c, "HTTP/1.1 %d -\r\n%s\r\n\r\n%s", status, fields, content); err != nil || parts[2] == "close" {
			return
		}
	}
}

// Whatever scripts make of the method and the status, the client reads what that means,
// and the next answer behind it.
func TestHTTPFramingByScripts(t *testing.T) {
	const change = `function M.on_request(_, req) req.method = req.headers:get("X-Sent") end
		function M.on_response(_, req, res) res.status = tonumber(req.headers:get("X-To")) end `
	for name, script := range map[string]string{
		"heads":  change,
		"bodies": change + `function M.on_response_body(_, _, _, chunk) fwx.sleep(0) return tostring(chunk) end`,
		"whole": `function M.on_request(_, req) req.method = req.headers:get("X-Sent") end
			function M.on_response(_, req, res) res:whole_body(100) res.status = tonumber(req.headers:get("X-To")) end
			function M.on_response_body(_, _, _, chunk) return chunk end`,
	} {
		t.Run(name, func(t *testing.T) {
			c := newHTTPGatewayTo(t, serveFramed(t), script).dial()
			defer func() { _ = c.Close() }() // all has been read
			r := bufio.NewReader(c)
			for i := range 3 * 3 * 5 * 5 * 3 {
				pick := func(of []string) string {
					word := of[i%len(of)]
					i /= len(of)
					return word
				}
				methods, statuses := []string{"GET", "HEAD", "POST"}, []string{"200", "204", "205", "304", "404"}
				asked, sent, from, to, framing := pick(methods), pick(methods), pick(statuses), pick(statuses), pick([]string{"length", "chunked", "close"})
				want := to + " hello"
				if asked == "HEAD" || sent == "HEAD" || from == "204" || from == "304" || to == "204" || to == "205" || to == "304" {
					want = to + " "
				}
				if _, err := fmt.Fprintf(c, "%s /%s/%s HTTP/1.1\r\nHost: a\r\nX-Sent: %s\r\nX-To: %s\r\n\r\n", asked, from, framing, sent, to); err != nil {
					t.Fatal(err)
				}
				p, err := http.ReadResponse(r, &http.Request{Method: asked})
				if err != nil {
					t.Fatalf("%s sent as %s, %s with %s sent as %s: %v", asked, sent, from, framing, to, err)
				}
				body, err := io.ReadAll(p.Body)
				if got := fmt.Sprintf("%d %s", p.StatusCode, body); err != nil || got != want {
					t.Fatalf("%s sent as %s, %s with %s sent as %s: %q, want %q (%v)", asked, sent, from, framing, to, got, want, err)
				}
			}
		})
	}
}

// A script cannot make a tunnel of a request, or one that no server understands.
func TestHTTPMethodsThatCannotBeSet(t *testing.T) {
	g := newHTTPGateway(t, `function M.on_request(_, req)
		local ok, err = pcall(function() req.method = req.headers:get("X-Sent") end)
		return fwx.respond(200, nil, tostring(ok) .. " " .. req.method .. " " .. tostring(err))
	end`)
	for text, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: a\r\nX-Sent: CONNECT\r\n\r\n":   `false GET test.lua:2: method "CONNECT" cannot be sent`,
		"GET / HTTP/1.1\r\nHost: a\r\nX-Sent: DELETE\r\n\r\n":    "true DELETE nil",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\nX-Sent: GET\r\n\r\n":   `false OPTIONS test.lua:2: method "GET" cannot be sent`,
		"OPTIONS / HTTP/1.1\r\nHost: a\r\nX-Sent: PATCH\r\n\r\n": "true PATCH nil",
	} {
		if _, body := g.fetch(text); !strings.HasPrefix(strings.ReplaceAll(body, g.dir+"/", ""), want) {
			t.Errorf("%q: %q, want %q", text, body, want)
		}
	}
}

// A script that checks bodies is asked about every message, with a body or without.
func TestHTTPEmptyBodies(t *testing.T) {
	for name, whole := range map[string]string{"pieces": "", "whole": "req:whole_body(64)", "on the disk": `req:whole_body(64, "spool")`} {
		g := newHTTPGateway(t, `function M.on_request(conn, req) conn.ctx.seen = tostring(req.has_body) `+whole+` end
			function M.on_request_body(conn, req, chunk)
				conn.ctx.seen = conn.ctx.seen .. " [" .. tostring(chunk) .. "]"
				if #chunk == 0 then fwx.sleep(0) return fwx.respond(401, { ["X-Seen"] = conn.ctx.seen }) end
			end`)
		for text, want := range map[string]string{
			"GET / HTTP/1.1\r\nHost: a\r\n\r\n":                                         "false []",
			"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n":                                      "false []",
			"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n":                   "false []",
			"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc":                "true [abc] []",
			"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": "true []",
		} {
			p, _ := g.fetch(text)
			if got := p.Header.Get("X-Seen"); p.StatusCode != 401 || got != want {
				t.Errorf("%s, %q: %d %q, want %q", name, text, p.StatusCode, got, want)
			}
		}
	}
	g := newHTTPGatewayTo(t, serveFramed(t), `function M.on_response(conn, _, res) conn.ctx.seen = tostring(res.has_body) end
		function M.on_response_body(conn, _, res, chunk)
			conn.ctx.seen = conn.ctx.seen .. " [" .. tostring(chunk) .. "]"
			if #chunk == 0 then fwx.log.info("seen " .. conn.ctx.seen .. ".") end
		end`)
	for text, want := range map[string]string{"GET /200/length": "true [hello] []", "HEAD /200/length": "false []", "GET /204/length": "false []"} {
		g.fetch(text + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		g.logged("seen " + want + ".")
	}
}
