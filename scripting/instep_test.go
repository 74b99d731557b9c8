package scripting

import (
	"math/rand/v2"
	"strings"
	"testing"

	"fwx/framework"
	"fwx/framework/completion/fake"
	"fwx/framework/fwxtest"
	"fwx/framework/fwxtest/instep"
)

// carelessScript makes any call at any time. Its answers are those of carelessAnswers.
const carelessScript = `
	local fwx = require "fwx"
	local M = {}
	local config, state = {}, 1

	local function random(n)
		state = (state * 16807) % 2147483647
		return state % n
	end
	local function pick(list) return list[random(#list) + 1] end
	local function chance(percent) return random(100) < percent end

	local names = { "X-One", "X-Two", "X-New", "Content-Length", "Transfer-Encoding", "Connection", "ETag" }
	local function fields(req, res)
		return pick { req.headers, req.trailers, (res or req).headers, (res or req).trailers }
	end

	local calls = {
		function(req) req.method = pick { "GET", "HEAD", "POST", "OPTIONS", "CONNECT" } end,
		function(req) req.path = pick { "/", "/x?y", "nothing" } end,
		function(req) req.host = pick { "b", "b:80", "a b" } end,
		function(req) req.upstream = pick { "out", "other", "none" } end,
		function(_, res) res.status = pick { 200, 204, 205, 304, 404, 101 } end,
		function(req, res) fields(req, res):set(pick(names), pick { "7", { "8", "9" } }) end,
		function(req, res) fields(req, res):add(pick(names), "8") end,
		function(req, res) fields(req, res):remove(pick(names)) end,
		function(req) req:whole_body(pick { 1, 10, 5000, 1048576 }, pick { "refuse", "pass", "spool" }) end,
		function(_, res) res:whole_body(pick { 1, 10, 5000, 1048576 }, pick { "refuse", "pass" }) end,
		function(req) req:decode_body() end,
		function(_, res) res:decode_body() end,
		function(req, res) return req.method, req.path, req.upstream, req.has_body, res.status, res.has_body, fields(req, res):names() end,
	}
	local function call(req, res) pcall(pick(calls), req, res) end

	local kept = {}
	local function told(req, res, body)
		kept[random(20) + 1] = { req, res }
		while chance(config.calls) do call(req, res) end
		if chance(config.calls) then
			local some = kept[random(20) + 1]
			if some then call(some[1], some[2]) end -- it may be over
		end
		if chance(config.calls) then fwx.after(0.001 * random(30), function() call(req, res) end) end
		if not chance(config.verdicts) then return nil end
		if chance(50) then
			fwx.sleep(0.001 * random(30))
			call(req, res)
		end
		if body and chance(40) then return fwx.drop end
		if body and chance(60) then return ("new\r\n"):rep(random(400)) end
		if chance(20) then return fwx.deny("no") end
		if chance(40) then
			local n = random(3)
			return fwx.respond(pick { 200, 204, 205, 304, 404 }, { Answer = tostring(n) }, ("answer"):rep(n * 100))
		end
		if chance(20) then return fwx.respond(200, { Answer = "3" }, assert(fwx.file.open("file"))) end
	end

	function M.on_init(c) config, state = c, c.seed end
	function M.on_request(_, req) return told(req) end
	function M.on_response(_, req, res) return told(req, res) end
	function M.on_request_body(_, req) return told(req, nil, true) end
	function M.on_response_body(_, req, res) return told(req, res, true) end
	return M
`

// Whatever scripts do, and whenever, client and server agree on where each message ends.
func TestHTTPMessagesStayInStep(t *testing.T) {
	t.Parallel()
	runs := 100
	if fwxtest.Long() {
		runs = 300
	}
	instep.Run(t, runs, nil, func(t *testing.T, r *rand.Rand, m *fake.Machine, rec *instep.Record, bodies bool) (list []framework.FilterConfig) {
		t.Helper()
		for n := range 3 {
			rec.Note(strings.Repeat("answer", n*100))
		}
		file := strings.Repeat("file ", 3000)
		rec.Note(file)
		m.WriteFile("/script/file", []byte(file))
		if !bodies {
			return nil // all scripts may change bodies
		}
		for _, name := range []string{"a", "b"} {
			f, err := New(Settings{
				Name: name, Script: name + ".lua", Source: carelessScript, Dir: "/script", Allow: Allow{Read: []string{"."}},
				Config: map[string]any{
					"seed": 1 + r.IntN(1<<30), "calls": r.IntN(60), "verdicts": r.IntN(40),
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, framework.FilterConfig{Name: name, Class: framework.ClassMiddle, Filter: f})
		}
		return list
	})
}
