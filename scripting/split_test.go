package scripting

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
)

// splitScript has the four handlers change what they see so that it does not matter in which
// pieces it comes.
const splitScript = `
	function M.on_request(conn, req) req.headers:set("X-Path", req.path .. req.headers:get("X-One")) end
	function M.on_request_body(conn, req, chunk)
		if #chunk == 0 then return "!" .. req.trailers:get("X-End") end
		return tostring(chunk):upper()
	end
	function M.on_response(conn, req, res) res.headers:set("X-Seen", res.status .. res.headers:get("X-Two")) end
	function M.on_response_body(conn, req, res, chunk)
		if #chunk == 0 then return "?" .. res.trailers:get("X-End") end
		return tostring(chunk):upper()
	end`

// Requests and responses that are cut anywhere, and that come a byte at a time, are the same
// to the handlers.
func TestHTTPSplitAnywhere(t *testing.T) {
	const question = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX-One: 1\r\n\r\n3;x\r\nabc\r\n2\r\nde\r\n0\r\nX-End: y\r\n\r\n"
	const reply = "HTTP/1.1 203 Sure\r\nTransfer-Encoding: chunked\r\nX-Two: 2\r\n\r\n4\r\nfghi\r\n1;z\r\nj\r\n0\r\nX-End: z\r\n\r\n"
	var say func(c net.Conn) // the reply
	var mu sync.Mutex
	seen := ""
	server := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			q, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			body, err := io.ReadAll(q.Body)
			mu.Lock()
			seen = fmt.Sprintf("%s %s %s %v", q.Method, q.Header.Get("X-Path"), body, err)
			answer := say
			mu.Unlock()
			answer(c)
		}
	})
	g := newHTTPGatewayTo(t, server, splitScript)
	worker := g.fw.Port().Workers()[0]
	// pieces writes a text in pieces of which the first has so many bytes and the others a
	// size; between two of them the gateway has had its turn.
	pieces := func(c net.Conn, text string, first, size int) {
		for n := first; text != ""; n = size {
			n = min(n, len(text))
			if _, err := io.WriteString(c, text[:n]); err != nil {
				return
			}
			text = text[n:]
			_ = worker.Call(func() {}) // an error means that the test ends
			_ = worker.Call(func() {})
		}
	}
	c := g.dial()
	defer func() { _ = c.Close() }() // all of the answers has come
	r := bufio.NewReader(c)
	run := func(what string, ask, answer func(c net.Conn)) {
		mu.Lock()
		say = answer
		mu.Unlock()
		ask(c)
		p, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		body, err := io.ReadAll(p.Body)
		got := fmt.Sprintf("%d %s %s %s %v", p.StatusCode, p.Header.Get("X-Seen"), body, p.Trailer.Get("X-End"), err)
		if want := "203 2032 FGHIJ?z z <nil>"; got != want {
			t.Errorf("%s: the client has had %s, want %s", what, got, want)
		}
		mu.Lock()
		defer mu.Unlock()
		if want := "POST /a1 ABCDE!y <nil>"; seen != want {
			t.Errorf("%s: the server has had %s, want %s", what, seen, want)
		}
	}
	asIs := func(text string) func(net.Conn) {
		return func(c net.Conn) { pieces(c, text, len(text), 1) }
	}
	for i := 1; i < len(question); i++ {
		run(fmt.Sprintf("a request cut behind %d", i), func(c net.Conn) { pieces(c, question, i, len(question)) }, asIs(reply))
	}
	for i := 1; i < len(reply); i++ {
		run(fmt.Sprintf("a response cut behind %d", i), asIs(question), func(c net.Conn) { pieces(c, reply, i, len(reply)) })
	}
	run("a byte at a time", func(c net.Conn) { pieces(c, question, 1, 1) }, func(c net.Conn) { pieces(c, reply, 1, 1) })
}
