package scripting

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"fwx/framework"
)

// newHTTPGateway makes a gateway that speaks HTTP, before a server that answers with what
// it was asked.
func newHTTPGateway(tb testing.TB, source string, change ...func(*Settings)) *gateway {
	tb.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Server", "secret")
		w.Header()["Seen"] = r.Header["X-Test"]
		fmt.Fprintf(w, "%s %s %s [%s]", r.Method, r.Host, r.RequestURI, body) //nolint:gosec // no browser sees it
	}))
	tb.Cleanup(server.Close)
	return newHTTPGatewayTo(tb, server.Listener.Addr().String(), source, change...)
}

// newHTTPGatewayTo makes a gateway that speaks HTTP, before a server.
func newHTTPGatewayTo(tb testing.TB, server, source string, change ...func(*Settings)) *gateway {
	tb.Helper()
	g := newGatewayTo(tb, server, 1, anyBackend, source, change...)
	g.config.Listeners[0].Protocol = "http"
	var err error
	if g.fw, err = framework.New(g.config, framework.NewRegistry(Factory())); err != nil {
		tb.Fatal(err)
	}
	return g.start()
}

// fetch sends a request and returns the response to it.
func (g *gateway) fetch(text string) (*http.Response, string) {
	g.tb.Helper()
	c := g.dial()
	defer func() { _ = c.Close() }() // all of the answer has come
	if _, err := io.WriteString(c, text); err != nil {
		g.tb.Fatal(err)
	}
	p, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		g.tb.Fatal(err)
	}
	body, err := io.ReadAll(p.Body)
	if err != nil {
		g.tb.Fatal(err)
	}
	return p, string(body)
}

const post = "POST /a?b HTTP/1.1\r\nHost: example.com\r\nX-Test: 1\r\nx-test: 2\r\nContent-Length: 3\r\n\r\nabc"

func TestHTTPHandlers(t *testing.T) {
	for _, test := range []struct{ name, script, status, body, seen string }{
		{"nothing", `function M.on_request() end`, "200", "POST example.com /a?b [abc]", "1|2"},
		{
			"what a request has", `function M.on_request(conn, req)
				assert(#req.id == 16 and req.upstream == nil)
				return fwx.respond(200, nil, table.concat({req.method, req.host, req.path, req.query, req.target, req.authority, req.version, req.headers:get("X-TEST"),
					table.concat(req.headers:all("x-test"), ","), table.concat(req.headers:names(), ",")}, " "))
			end`, "200", "POST example.com /a b /a?b example.com 1.1 1 1,2 content-length,host,x-test", "",
		},
		{
			"changes", `function M.on_request(conn, req)
				req.method, req.path, req.host, req.upstream = "PUT", "/c", "other", "site"
				req.headers:set("X-Test", "3")
				req.headers:add("X-Test", "4")
			end
			function M.on_response(conn, req, res)
				res.headers:remove("server")
				res.headers:set("X-Path", req.path)
				res.status = 201
			end`, "201", "PUT other /c?b [abc]", "3|4",
		},
		{
			"a suspended handler", `function M.on_request(conn, req) fwx.sleep(0.001); req.headers:remove("x-test") end
			function M.on_response(conn, req, res) fwx.sleep(0.001); res.headers:remove("server") end
			function M.on_request_body(conn, req, chunk) fwx.sleep(0.001); return tostring(chunk):upper() end
			function M.on_response_body(conn, req, res, chunk) fwx.sleep(0.001); if #chunk == 0 then return "." end end`,
			"200", "POST example.com /a?b [ABC].", "",
		},
		{
			"a whole body", `function M.on_request(conn, req) req:whole_body(10) end
			function M.on_request_body(conn, req, chunk) if #chunk > 0 then return "<" .. chunk .. ">" end end`,
			"200", "POST example.com /a?b [<abc>]", "1|2",
		},
		{"a body that is too long", `function M.on_request(conn, req) req:whole_body(2) end function M.on_request_body() end`, "413", "", ""},
		{"a body that is too long and passes", `function M.on_request(conn, req) req:whole_body(2, "pass") end
			function M.on_request_body() return fwx.drop end`, "200", "POST example.com /a?b [abc]", "1|2"},
		{
			"a spooled body", `function M.on_request(conn, req) req:whole_body(2, "spool") end
			function M.on_request_body(conn, req, body)
				assert(#body == 3 and body:len() == 3)
				assert(body:read(0, 2) == "ab" and body:read(2, 100) == "c" and body:read(1, 0) == "" and body:read(3, 1) == nil)
			end`,
			"200", "POST example.com /a?b [abc]", "1|2",
		},
		{"a spooled body that is replaced", `function M.on_request(conn, req) req:whole_body(2, "spool") end
			function M.on_request_body(conn, req, body) if #body == 3 then return "<" .. body:read(0, 3) .. ">" end end`, "200", "POST example.com /a?b [<abc>]", "1|2"},
		{"a spooled body that is passed by itself", `function M.on_request(conn, req) req:whole_body(2, "spool") end
			function M.on_request_body(conn, req, body) return body end`, "200", "POST example.com /a?b [abc]", "1|2"},
		{
			"a body that is not spooled", `function M.on_request(conn, req) req:whole_body(3, "spool") end
			function M.on_request_body(conn, req, body)
				if #body == 0 then return end
				assert(body:read(0, 2) == "ab" and body:read(2, 100) == "c" and body:read(1, 0) == "" and body:read(3, 1) == nil)
				return "seen"
			end`,
			"200", "POST example.com /a?b [seen]", "1|2",
		},
		{"a spooled body that is refused", `function M.on_request(conn, req) req:whole_body(2, "spool") end
			function M.on_request_body() return fwx.deny("no") end`, "403", "", ""},
		{"a response that would be spooled", `function M.on_response(conn, req, res) res:whole_body(2, "spool") end`, "500", "", ""},
		{"a dropped body", `function M.on_request_body() return fwx.drop end`, "200", "POST example.com /a?b []", "1|2"},
		{"deny", `function M.on_request() return fwx.deny("no") end`, "403", "", ""},
		{"deny a body", `function M.on_request_body() return fwx.deny("no") end`, "403", "", ""},
		{"deny a response", `function M.on_response() return fwx.deny("no") end`, "403", "", ""},
		{"respond", `function M.on_request() return fwx.respond(418, {["X-Tea"] = "pot"}, "short") end`, "418", "short", ""},
		{"respond with headers of several values", `function M.on_response(conn, req, res)
			return fwx.respond(200, {Seen = {"a=1", 2, 0.5}}, "instead") end`, "200", "instead", "a=1|2|0.5"},
		{"set and add lists", `function M.on_response(conn, req, res) local h = res.headers
			h:set("Seen", {"a", 1}) h:add("seen", {2, "b"}) h:add("Seen", 3) h:set("Gone", 1) h:set("Gone", {}) if h:get("gone") then h:set("Seen", "gone") end end`, "200", "", "a|1|2|b|3"},
		{"respond to a response", `function M.on_response() return fwx.respond(200, nil, "instead") end`, "200", "instead", ""},
		{"deny a whole response", `function M.on_response(conn, req, res) res:whole_body(1000) end
			function M.on_response_body() return fwx.deny("no") end`, "403", "", ""},
		{"respond to a whole response", `function M.on_response(conn, req, res) res:whole_body(1000) end
			function M.on_response_body(conn, req, res, chunk) if #chunk == 0 then return fwx.respond(200, nil, "instead") end end`, "200", "instead", ""},
		{"a response that is too long", `function M.on_response(conn, req, res) res:whole_body(2) end
			function M.on_response_body() return fwx.drop end`, "502", "", ""},
		{"a response that is too long and passes", `function M.on_response(conn, req, res) res:whole_body(2, "pass") end
			function M.on_response_body() return fwx.drop end`, "200", "POST example.com /a?b [abc]", "1|2"},
		{"a response that is as long as may be", `function M.on_response(conn, req, res) res:whole_body(#"POST example.com /a?b [abc]", "pass") end
			function M.on_response_body(conn, req, res, chunk) return "<" .. chunk .. ">" end`, "200", "<POST example.com /a?b [abc]><>", "1|2"},
		{"an error in a whole response", `function M.on_response(conn, req, res) res:whole_body(1000) end
			function M.on_response_body() error("oops") end`, "500", "", ""},
		{"an error", `function M.on_request() error("oops") end`, "500", "", ""},
		{"a wrong result", `function M.on_request() return 7 end`, "500", "", ""},
		{"a string for a head", `function M.on_request() return "x" end`, "500", "", ""},
		{"a header that must not be set", `function M.on_request(conn, req) req.headers:set("Content-Length", "7") end`, "500", "", ""},
		{"a length in an answer", `function M.on_request() return fwx.respond(200, {["Content-Length"] = 7}, "x") end`, "500", "", ""},
		{"headers without an end", `function M.on_request(conn, req) for i = 1, 100 do req.headers:set("X", ("x"):rep(i * 2^14)) end end`, "500", "", ""},
		{"a header set often", `function M.on_request(conn, req) for i = 1, 1000 do req.headers:set("X-Test", ("x"):rep(2^12)) end req.headers:set("X-Test", "3") end`, "200", "", "3"},
		{"a line end in a header", `function M.on_request(conn, req) req.headers:set("X", "a\r\nY: b") end`, "500", "", ""},
		{"a path that must be encoded", `function M.on_request(conn, req) req.path = "/a b?" assert(req.path == "/a b?") end`, "200", "POST example.com /a%20b%3F?b [abc]", "1|2"},
		{"a target", `function M.on_request(conn, req) req.target = "//c/%2e?d" assert(req.path == "/c/" and req.query == "d") end`, "200", "POST example.com //c/%2e?d [abc]", "1|2"},
		{"a host", `function M.on_request(conn, req) req.host = "Other.:81" assert(req.host == "other" and req.authority == "Other.:81") end`, "200", "POST Other.:81 /a?b [abc]", "1|2"},
		{"a path that cannot be sent", `function M.on_request(conn, req) req.path = "a" end`, "500", "", ""},
		{"a target that cannot be sent", `function M.on_request(conn, req) req.target = "/a b" end`, "500", "", ""},
		{"an unknown upstream", `function M.on_request(conn, req) req.upstream = "nowhere" end`, "500", "", ""},
		{"an unknown field", `function M.on_request(conn, req) req.body = "x" end`, "500", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newHTTPGateway(t, test.script)
			p, body := g.fetch(post)
			if strconv.Itoa(p.StatusCode) != test.status || test.body != "" && body != test.body || strings.Join(p.Header["Seen"], "|") != test.seen {
				t.Errorf("%s %q, seen %q", p.Status, body, p.Header["Seen"])
			}
			if strings.Contains(test.script, `remove("server")`) && p.Header.Get("Server") != "" {
				t.Errorf("the header is still there: %v", p.Header)
			}
		})
	}
}

// A client that waits for 100 Continue has it when a script wants the body before the server
// is asked, and does not when it is answered at once.
func TestHTTPExpectContinue(t *testing.T) {
	for _, test := range []struct{ name, script, want string }{
		{"gathered", `function M.on_request(conn, req) req:whole_body(3) end
			function M.on_request_body(conn, req, chunk) return tostring(chunk):upper() end`, "100 200 false POST a / [ABC]"},
		{"gathered by a handler that waits", `function M.on_request(conn, req) fwx.sleep(0.001) req:whole_body(3) fwx.sleep(0.001) end
			function M.on_request_body(conn, req, chunk) fwx.sleep(0.001) end`, "100 200 false POST a / [abc]"},
		{"passing", `function M.on_request(conn, req) req:whole_body(2, "pass") end
			function M.on_request_body() return fwx.drop end`, "100 200 false POST a / [abc]"},
		{"refused", `function M.on_request(conn, req) req:whole_body(2) end function M.on_request_body() end`, "100 413 false"},
		{"spooled", `function M.on_request(conn, req) req:whole_body(2, "spool") end
			function M.on_request_body(conn, req, body) return "<" .. body:read(0, 3) .. ">" end`, "100 200 false POST a / [<abc>]"},
		{"in pieces, asked for by the server", `function M.on_request_body() end`, "100 200 false POST a / [abc]"},
		{"answered", `function M.on_request(conn, req) req:whole_body(3) return fwx.respond(401, nil, "who?") end`, "401 true who?"},
		{"answered by a handler that waits", `function M.on_request(conn, req) fwx.sleep(0.001) return fwx.respond(401, nil, "who?") end`, "401 true who?"},
		{"denied", `function M.on_request(conn, req) return fwx.deny("no") end`, "403 true"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newHTTPGateway(t, test.script).dial()
			if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(c)
			var got strings.Builder
			for {
				p, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				if p.StatusCode == http.StatusContinue {
					got.WriteString("100 ")
					if _, err := io.WriteString(c, "abc"); err != nil {
						t.Fatal(err)
					}
					continue
				}
				body, err := io.ReadAll(p.Body)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprint(&got, p.StatusCode, " ", p.Close)
				if p.Header.Get("Cache-Control") == "" { // it is no page of the gateway's
					fmt.Fprintf(&got, " %s", body)
				}
				break
			}
			if got.String() != test.want {
				t.Errorf("%s, want %s", got.String(), test.want)
			}
		})
	}
}

// Bodies are decoded for handlers, and go on decoded.
func TestHTTPDecodeBody(t *testing.T) {
	var zipped strings.Builder
	w := gzip.NewWriter(&zipped)
	if _, err := io.WriteString(w, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, coding, script, status, body string }{
		{"a body", "gzip", `function M.on_request(conn, req) assert(req:decode_body()) assert(not req.headers:get("content-encoding")) end
			function M.on_request_body(conn, req, chunk) fwx.sleep(0.001) return tostring(chunk):upper() end`, "200", "POST a / [HELLO]"},
		{"a whole one", "gzip", `function M.on_request(conn, req) assert(req:decode_body()) req:whole_body(5) end
			function M.on_request_body(conn, req, chunk) return tostring(chunk):upper() end`, "200", "POST a / [HELLO]"},
		{"nobody looks", "gzip", `function M.on_request(conn, req) end`, "200", "POST a / [" + zipped.String() + "]"},
		{"without a coding", "", `function M.on_request(conn, req) assert(req:decode_body()) end`, "200", "POST a / [" + zipped.String() + "]"},
		{"damaged", "deflate", `function M.on_request(conn, req) assert(req:decode_body()) end`, "400", ""},
		{"an unknown coding", "rot13", `function M.on_request(conn, req)
			local ok, message, code = req:decode_body()
			return fwx.respond(415, nil, code)
		end`, "415", "unknown"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, body := newHTTPGateway(t, test.script).fetch(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s",
				test.coding, zipped.Len(), zipped.String()))
			if strconv.Itoa(p.StatusCode) != test.status || test.body != "" && body != test.body {
				t.Errorf("%s %q", p.Status, body)
			}
		})
	}
}

// What a script keeps of a request that is over it can no longer use.
func TestHTTPRequestIsOver(t *testing.T) {
	g := newHTTPGateway(t, `local kept
		function M.on_request(conn, req)
			if not kept then kept = req return end
			return fwx.respond(200, nil, tostring(select(2, pcall(function() return kept.path end))))
		end`)
	g.fetch(post)
	if _, body := g.fetch(post); !strings.Contains(body, "the request is over") {
		t.Errorf("%q", body)
	}
}

// A spooled body can be read as long as its handler runs.
func TestHTTPSpooledIsOver(t *testing.T) {
	g := newHTTPGateway(t, `local kept
		function M.on_request(conn, req)
			if kept then return fwx.respond(200, nil, tostring(select(2, pcall(kept.read, kept, 0, 1)))) end
			req:whole_body(1, "spool")
		end
		function M.on_request_body(conn, req, body) kept = body end`)
	g.fetch(post)
	if _, body := g.fetch(post); !strings.Contains(body, "a spooled body can be read in its on_request_body only") {
		t.Errorf("%q", body)
	}
}

// A file from the disk is read by the port, all at once or as the client takes it.
func TestHTTPRespondWithFile(t *testing.T) {
	for _, test := range []struct{ name, answer, status, body string }{
		{"read", `fwx.respond(200, kind, assert(fwx.file.read("page.txt")))`, "200", "a page"},
		{"read and write", `fwx.respond(200, kind, (function() local f = fwx.file.open("var/x", "w+") f:write(0, "a page") return f end)())`, "200", "a page"},
		{"open", `fwx.respond(200, kind, assert(fwx.file.open("page.txt")))`, "200", "a page"},
		{"of another status", `fwx.respond(404, kind, assert(fwx.file.open("page.txt")))`, "404", "a page"},
		{"a closed file", `(function() local f = assert(fwx.file.open("page.txt")) f:close() return fwx.respond(200, kind, f) end)()`, "500", "page.txt is closed"},
		{"a file closed behind it", `(function() local f = assert(fwx.file.open("page.txt"))
			local v = fwx.respond(200, kind, f) f:close() return v end)()`, "500", "fwx.respond: page.txt is closed"},
		{"a file to be written", `fwx.respond(200, kind, assert(fwx.file.open("var/x", "w")))`, "500", "a file open for reading expected, var/x was opened with mode"},
		{"a file to append to", `fwx.respond(200, kind, assert(fwx.file.open("var/x", "a")))`, "500", "a file open for reading expected, var/x was opened with mode"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newHTTPGateway(t, `local kind = {["Content-Type"] = "text/x"}
				function M.on_request(conn, req) return `+test.answer+` end`)
			if err := os.WriteFile(filepath.Join(g.dir, "page.txt"), []byte("a page"), 0o600); err != nil {
				t.Fatal(err)
			}
			p, body := g.fetch(post)
			if strconv.Itoa(p.StatusCode) != test.status {
				t.Error(p.Status)
			}
			if test.status == "500" {
				g.logged(test.body)
			} else if body != test.body || p.Header.Get("Content-Type") != "text/x" {
				t.Errorf("%q %v", body, p.Header)
			}
		})
	}
}

// A file that an answer has is closed for the script, which may answer with it once.
func TestHTTPRespondWithFileOnce(t *testing.T) {
	g := newHTTPGateway(t, `local file, verdict
		function M.on_request(conn, req)
			if not verdict then
				file = assert(fwx.file.open("page.txt"))
				verdict = fwx.respond(200, nil, file)
			elseif req.path == "/why" then
				return fwx.respond(200, nil, select(2, file:read(0, 1)))
			end
			return verdict
		end`)
	if err := os.WriteFile(filepath.Join(g.dir, "page.txt"), []byte("a page"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ path, status, body string }{
		{"/", "200", "a page"}, {"/why", "200", "page.txt is closed: an answer has it, which closes it"}, {"/", "500", ""},
	} {
		p, body := g.fetch("GET " + test.path + " HTTP/1.1\r\nHost: a\r\n\r\n")
		if strconv.Itoa(p.StatusCode) != test.status || test.body != "" && body != test.body {
			t.Errorf("%s: %s %q", test.path, p.Status, body)
		}
	}
}

// httpExample makes a gateway that speaks HTTP with a script of examples/lua.
func httpExample(t *testing.T, name string, allow Allow, config map[string]any) *gateway {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("..", "examples", "lua", name))
	if err != nil {
		t.Fatal(err)
	}
	return newHTTPGateway(t, "", func(s *Settings) {
		if err := os.MkdirAll(filepath.Join(s.Dir, "www"), 0o750); err != nil {
			t.Fatal(err)
		}
		s.Script, s.Source, s.Allow, s.Config = "examples/lua/"+name, string(source), allow, config
	})
}

func TestExampleHeaderPolicy(t *testing.T) {
	g := httpExample(t, "header_policy.lua", Allow{}, map[string]any{
		"remove": []any{"Server"}, "set": map[string]any{"X-Frame-Options": "DENY"}, "hosts": []any{"example.com"},
	})
	if p, _ := g.fetch(post); p.StatusCode != 200 || p.Header.Get("Server") != "" || p.Header.Get("X-Frame-Options") != "DENY" {
		t.Errorf("%s %v", p.Status, p.Header)
	}
	if p, _ := g.fetch("GET / HTTP/1.1\r\nHost: other.example\r\n\r\n"); p.StatusCode != 421 {
		t.Error(p.Status)
	}
}

func TestExampleMapLocal(t *testing.T) {
	g := httpExample(t, "map_local.lua", Allow{Read: []string{"www/"}}, map[string]any{"prefix": "/static/", "dir": "www/"})
	g.write("www/a.css", "body {}")
	g.write("secret", "secret")
	for _, test := range []struct {
		request string
		status  int
		body    string
	}{
		{"GET /static/a.css?v=1", 200, "body {}"},
		{"GET /static/none", 404, ""},
		{"GET /static/../secret", 200, "GET a /static/../secret []"}, // it is another path
		{"GET /static/..%2fsecret", 400, ""},
		{"POST /static/a.css", 405, ""},
		{"GET /other", 200, "GET a /other []"},
	} {
		p, body := g.fetch(test.request + " HTTP/1.1\r\nHost: a\r\n\r\n")
		if p.StatusCode != test.status || test.body != "" && body != test.body {
			t.Errorf("%s: %s %q", test.request, p.Status, body)
		}
	}
}
