package scripting

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// phaseScript makes all calls that change a message at one moment of a request, which its
// fields choose, and tells who asks for /result which of them were possible.
const phaseScript = `
	local calls = {
		{ "method", function(req) req.method = "PUT" end },
		{ "path", function(req) req.path = "/new" end },
		{ "host", function(req) req.host = "new" end },
		{ "headers", function(req)
			req.headers:set("X-One", "1")
			req.headers:add("X-Two", "2")
			req.headers:remove("X-Two")
		end },
		{ "upstream", function(req) req.upstream = "site" end },
		{ "whole", function(req) req:whole_body(1000) end },
		{ "decode", function(req) assert(req:decode_body()) end },
		{ "trailers", function(req) req.trailers:set("X-Sum", "1") end },
		{ "status", function(_, res) res.status = 201 end },
		{ "response headers", function(_, res) res.headers:set("X-One", "1") end },
		{ "whole response", function(_, res) res:whole_body(1000) end },
		{ "decode response", function(_, res) assert(res:decode_body()) end },
		{ "response trailers", function(_, res) res.trailers:remove("X-Sum") end },
	}
	local wanted, whole, result, request, response

	local function at(moment, req, res)
		request, response = req or request, res or response
		if moment ~= wanted then return end
		local possible = {}
		for _, call in ipairs(calls) do
			local ok, why = pcall(call[2], request, response)
			if ok then
				possible[#possible + 1] = call[1]
			elseif not (response == nil and why:find("attempt to index", 1, true)) and not why:find("the request is over", 1, true) and
				not why:find("not legal in this context: .* when ") then
				possible[#possible + 1] = call[1] .. ": " .. why
			end
		end
		wanted, result = nil, table.concat(possible, ", ")
	end

	local function handler(moment, req, res)
		at(moment, req, res)
		if moment .. " waits" == wanted then -- a timer comes meanwhile
			fwx.after(0.001, function() at(moment .. " waits") end)
			fwx.sleep(0.02)
		end
	end

	function M.on_request(_, req)
		if req.path == "/result" then return fwx.respond(200, nil, result or "?") end
		wanted, whole, result, request, response = req.headers:get("X-Moment"), req.headers:get("X-Whole"), nil, nil, nil
		if whole then req:whole_body(1000) end
		handler("request", req)
	end
	function M.on_request_body(_, req, chunk) handler(#chunk > 0 and "request body" or "request end", req) end
	function M.on_response(_, req, res)
		if whole then res:whole_body(1000) end
		handler("response", req, res)
	end
	function M.on_response_body(_, req, res, chunk) handler(#chunk > 0 and "response body" or "response end", req, res) end
	function M.on_message() handler("message") end
	fwx.every(0.001, function() at("over") end)
`

// Each call of a script is possible at each moment, or raises an error that says when it is.
func TestHTTPCallsInEachPhase(t *testing.T) {
	const heads = "method, path, host, headers, upstream"
	sockets := websocket.Handler(func(s *websocket.Conn) { _, _ = io.Copy(s, s) }) // the client tells
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			sockets.ServeHTTP(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "[%s]", body)
	}))
	t.Cleanup(server.Close)
	g := newHTTPGatewayTo(t, server.Listener.Addr().String(), phaseScript)
	for _, test := range []struct{ moment, whole, want string }{
		{"request", "", heads + ", whole, decode"},
		{"request waits", "", heads + ", whole, decode"},
		{"request body", "", ""},
		{"request body waits", "", ""},
		{"request end", "", "trailers"},
		{"response", "", "status, response headers, whole response, decode response"},
		{"response waits", "", "status, response headers, whole response, decode response"},
		{"response end", "", "response trailers"},
		{"over", "", ""},
		{"message", "", ""},
		{"request body", "1", heads},
		{"request body waits", "1", heads},
		{"request end", "1", heads},
		{"response body", "1", "status, response headers"},
		{"response end waits", "1", "status, response headers"},
	} {
		name := test.moment
		fields := "X-Moment: " + test.moment + "\r\n"
		if test.whole != "" {
			name, fields = name+", whole", fields+"X-Whole: 1\r\n"
		}
		if test.moment == "message" {
			g.phaseMessage(t)
		} else if p, _ := g.fetch("POST / HTTP/1.1\r\nHost: a\r\n" + fields + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"); p.StatusCode/100 != 2 {
			t.Errorf("%s: %s", name, p.Status)
		}
		got := "?"
		for end := time.Now().Add(patience); got == "?" && time.Now().Before(end); {
			_, got = g.fetch("GET /result HTTP/1.1\r\nHost: a\r\n\r\n")
		}
		if got = strings.TrimSpace(got); got != test.want {
			t.Errorf("%s: possible are %s, want %s", name, got, test.want)
		}
	}
}

// phaseMessage sends a message on a WebSocket.
func (g *gateway) phaseMessage(t *testing.T) {
	t.Helper()
	config, err := websocket.NewConfig("ws://a/", "http://a/")
	if err != nil {
		t.Fatal(err)
	}
	config.Header.Set("X-Moment", "message")
	s, err := websocket.NewClient(config, g.dial())
	if err != nil {
		t.Fatal(err)
	}
	var got string
	if err = websocket.Message.Send(s, "hello"); err == nil {
		err = websocket.Message.Receive(s, &got)
	}
	if err != nil || got != "hello" {
		t.Errorf("%q, %v", got, err)
	}
	_ = s.Close() // all has come
}
