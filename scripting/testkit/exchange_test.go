package testkit

import "testing"

// httpScript is a script for a listener that speaks HTTP.
const httpScript = `
local fwx = require "fwx"
local M = {}
function M.on_client_hello(conn, hello)
  fwx.log.info("hello", { sni = hello.sni, alpn = table.concat(hello.alpn, " ") })
  if hello.sni == "denied.example" then return fwx.deny("not you") end
  if hello.sni == "app.example" then
    conn:set_upstream("app")
    conn:set_tls_mode("passthrough")
  end
end
function M.on_request(conn, req)
  req.headers:add("X-Seen", "a")
  req.headers:add("X-Seen", "b")
  if req.path == "/slow" then fwx.sleep(5) end
  if req.path == "/no" then return fwx.respond(403, { ["Content-Type"] = "text/plain" }, "no") end
  if req.path == "/app" then req.upstream = "app" end
end
function M.on_request_body(conn, req, chunk)
  return (tostring(chunk):upper())
end
function M.on_response(conn, req, res)
  res.headers:add("Set-Cookie", "b=2")
end
return M
`

// passes runs tests, all of which must pass.
func passes(t *testing.T, script, text string) {
	t.Helper()
	for name, test := range runTests(t, script, text, Options{}) {
		if test.Failure != "" {
			t.Errorf("%s has failed: %s\n%s", name, test.Failure, test.Output)
		}
	}
}

// TestRequests looks at requests of clients, and at what they are answered.
func TestRequests(t *testing.T) {
	passes(t, httpScript, `
local site = "192.0.2.80:80"
local function start(t) t:start{ protocol = "http", upstreams = { app = "10.0.0.9:80" } } end

function T.what_goes_there_and_back(t)
  local server = t:http(site, { status = 201, headers = { "X-B: 1", "Set-Cookie: a=1", "x-a: 2" }, body = "made" })
  start(t)
  local x = t:request{ method = "POST", path = "/things?q=1", host = "a.example", client = "10.0.0.7",
    headers = { "Cookie: one", Accept = { "text/html", "*/*" } }, body = "hello" }
  local asked = server.requests[1]
  t:equal({ asked.method, asked.target, asked.host, asked.body }, { "POST", "/things?q=1", "a.example", "HELLO" })
  t:equal({ asked.headers.cookie, asked.headers.accept, asked.headers["x-seen"] }, { "one", "text/html, */*", "a, b" })
  t:equal(asked.headers["x-forwarded-for"], "10.0.0.7")
  t:equal({ asked.headers[1], asked.headers[2] }, { "Host: a.example", "Cookie: one" })
  t:equal({ x.status, x.body, x.complete, x.conn.verdict }, { 201, "made", true, "pass" })
  t:equal({ x.headers[1], x.headers[2], x.headers[3] }, { "X-B: 1", "Set-Cookie: a=1", "x-a: 2" })
  t:equal(x.headers["set-cookie"], "a=1, b=2")
end

function T.several_on_a_connection(t)
  local server = t:http(site, function(request) return request.target end)
  start(t)
  local conn = t:connect()
  local one, two = conn:request{ path = "/1" }, conn:request{ path = "/2" }
  t:equal({ one.body, two.body, server.count }, { "/1", "/2", 1 })
  t:equal(conn:receive(), "")
  t:equal(conn:request{ method = "HEAD", path = "/3" }.status, 200)
  t:equal(conn:request{ path = "/4" }.body, "/4")
end

function T.a_handler_that_waits(t)
  t:http(site, "hello")
  start(t)
  local x = t:request{ path = "/slow" }
  t:equal({ x.status, x.complete, x.body, x.conn.held }, { nil, false, "", true })
  t:match(x.conn.waits, "on_request waits in sleep")
  t:advance(5)
  t:equal({ x.status, x.complete }, { 200, true })
end

function T.answers_of_the_gateway(t)
  start(t)
  local x = t:request{ path = "/no" }
  t:equal({ x.status, x.body, x.headers["content-type"] }, { 403, "no", "text/plain" })
  t:equal(t:request{ path = "/app" }.status, 502)
  t:equal(t:request{ headers = { "Content-Length: 1", "Content-Length: 2" } }.status, 400)
end

function T.another_upstream(t)
  t:http("10.0.0.9:80", "the app")
  start(t)
  t:equal(t:request{ path = "/app" }.body, "the app")
end

function T.pieces_with_pauses(t)
  local server = t:http(site, { after = 2, body = { "one ", 1, "two ", "three" } })
  start(t)
  local x = t:request{ method = "PUT", body = { "a", 3, "b" } }
  t:equal(#server.requests, 0)
  t:match(server:accept():receive(), "\r\n1\r\nA\r\n$")
  t:advance(3)
  t:equal(server.requests[1].body, "AB")
  t:advance(1.9)
  t:equal(x.status, nil)
  t:advance(0.1)
  t:equal({ x.status, x.body, x.complete }, { 200, "one ", false })
  t:advance(1)
  t:equal({ x.body, x.complete }, { "one two three", true })
end

function T.what_is_cut_off(t)
  t:http(site, { body = { "some", 1, " more" }, cut = true })
  start(t)
  local x = t:request()
  t:equal(x.body, "some")
  t:advance(1)
  t:equal({ x.complete, x.conn.state }, { false, "reset" })
end

function T.a_body_that_is_shorter_than_it_should_be(t)
  t:http(site, { body = "some", cut = true })
  start(t)
  t:equal(t:request().complete, false)
end

function T.a_client_that_leaves(t)
  t:http(site, "hello")
  start(t)
  local x = t:request{ method = "POST", body = { "a", 1, "b" } }
  x.conn:close()
  t:advance(1)
  t:equal(x.status, nil)
  t:equal(t:logs("request failed")[1].status, 400)
end

function T.a_client_that_is_cut_off(t)
  local server = t:http(site, "hello")
  start(t)
  t:request{ method = "POST", body = { "a" }, cut = true }
  t:equal(server:accept().state, "closed")
  t:equal(#server.requests, 0)
end

function T.slow_answers_come_while_the_script_starts_too(t)
  t:http(site, { after = 3600, body = "late" })
  start(t)
  local x = t:request()
  t:eventually(function() return x.complete end)
  t:equal(x.status, 504) -- after a minute
end

function T.an_upgrade(t)
  local server = t:http(site, {
    status = 101,
    headers = { Upgrade = "websocket", Connection = "Upgrade", ["Sec-WebSocket-Accept"] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" },
  })
  start(t)
  local x = t:request{ headers = { Upgrade = "websocket", Connection = "Upgrade", ["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ==" } }
  t:equal({ x.status, x.headers.upgrade, x.complete }, { 101, "websocket", true })
  local peer = server:accept()
  x.conn:send("one")
  t:equal(peer:receive(), "one")
  peer:send("two")
  t:equal(x.conn:receive(), "two")
end
`)
}

// TestRequestMistakes looks at requests and answers that are wrong.
func TestRequestMistakes(t *testing.T) {
	check(t, runTests(t, httpScript, `
local function start(t) t:start{ protocol = "http" } end
function T.option(t) start(t) t:request{ methd = "GET" } end
function T.headers(t) start(t) t:request{ headers = "x" } end
function T.header(t) start(t) t:request{ headers = { a = true } } end
function T.line(t) start(t) t:request{ headers = { 1 } } end
function T.spellings(t) t:http("192.0.2.80:80", { headers = { ["X-A"] = "1", ["x-a"] = "2" } }) end
function T.body(t) start(t) t:request{ body = true } end
function T.part(t) start(t) t:request{ body = { -1 } } end
function T.cut(t) start(t) t:request{ cut = 1 } end
function T.busy(t) start(t) local c = t:connect() c:request{ body = { "a", 1 } } c:request() end
function T.response(t) t:http("192.0.2.80:80", { statsu = 200 }) end
function T.status(t) t:http("192.0.2.80:80", { status = "200" }) end
function T.after(t) t:http("192.0.2.80:80", { after = -1 }) end
function T.reply(t) t:http("192.0.2.80:80", function() return 7 end) start(t) t:request() end
function T.no_http(t)
  t:server("192.0.2.80:80", function() return "what?\r\n\r\n" end)
  t:start() t:equal(t:request().status, nil)
end
`, Options{}), map[string]string{
		"option": `there is no option "methd"; did you mean "method"?`, "headers": "headers: a table of headers expected", "header": "headers: header a: wants a string, a number, or a list of them, got a boolean",
		"line": `headers: a line such as "Accept: text/html" expected, got a number`, "spellings": "headers X-A and x-a are one header in two spellings",
		"body": "body wants a string, or a list", "part": "body wants a string, or a list", "cut": "cut wants true or false",
		"busy": "another request is still being sent", "response": `there is no option "statsu"; did you mean "status"?`,
		"status": `status wants a number from 100 to 999, got "200"`, "after": "after wants a number of seconds, got -1",
		"reply": "what the server 192.0.2.80:80 answers: a string, { status, headers, body } or nil is wanted", "no_http": "no response of HTTP",
	})
}

// TestListenerTLS looks at clients with TLS.
func TestListenerTLS(t *testing.T) {
	passes(t, httpScript, `
function T.terminated(t)
  t:http("192.0.2.80:80", "hello")
  t:start{ protocol = "http", tls = "terminate" }
  local x = t:request{ tls = { sni = "a.example", alpn = { "http/1.1" } } }
  t:equal({ x.status, x.body }, { 200, "hello" })
  t:equal(t:logs("hello")[1].sni, "a.example")
  x.conn:close()
  t:equal(x.conn.verdict, "pass")
end
function T.passed_through_to_another_upstream(t)
  local app = t:server("tls://10.0.0.9:443")
  t:start{ tls = "terminate", upstreams = { app = "10.0.0.9:443" } }
  local conn = t:connect{ tls = { sni = "app.example", alpn = { "h2", "x" } } }
  conn:send("one")
  local peer = app:accept()
  t:equal(peer:receive(), "one")
  peer:send("two")
  t:equal(conn:receive(), "two")
  t:equal(t:logs("hello")[1].alpn, "h2 x")
end
function T.denied(t)
  t:start{ tls = "passthrough" }
  local conn = t:connect{ tls = { sni = "denied.example" } }
  t:equal({ conn.verdict, conn.reason, conn.state }, { "deny", "not you", "closed" })
end
function T.no_hello(t)
  t:start{ tls = "terminate" }
  local conn = t:connect()
  t:advance(10)
  t:match(conn.reason, "no ClientHello")
end
function T.no_client_certificate_is_kept(t)
  t:start{ tls = "terminate" }
  local conn = t:connect{ tls = {} }
  conn:send("x")
  t:equal(conn.server:receive(), "x")
  conn.server:close()
  t:equal(conn.state, "closed")
end
`)
}
