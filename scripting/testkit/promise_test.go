package testkit

import (
	"os"
	"path/filepath"
	"testing"
)

// TestScriptBeside starts scripts that are named from the file of tests, wherever that is
// run from.
func TestScriptBeside(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"filters/a.lua":    `return { on_connect = function() return require("fwx").deny("a") end }`,
		"filters/in/b.lua": `return { on_connect = function() return require("fwx").deny("b") end }`,
		"filters/a_test.lua": `
local T = {}
function T.own(t) t:start() t:equal(t:connect().reason, "a") end
function T.beside(t) t:start{ script = "in/b.lua" } t:equal(t:connect().reason, "b") end
function T.above(t) t:start{ script = "../filters/a.lua" } t:equal(t:connect().reason, "a") end
function T.missing(t) t:error(function() t:start{ script = "filters/a.lua" } end, "filters.filters.a%.lua") end
return T
`,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	if n := runAll(t, "filters"); n != 4 {
		t.Errorf("%d tests have run", n)
	}
}

// TestNoTime has scripts sleep for no time, which passes by itself.
func TestNoTime(t *testing.T) {
	check(t, runTests(t, `local fwx = require "fwx"
local M = {}
function M.on_connect() for _ = 1, 3 do fwx.sleep(0) end fwx.after(0, function() fwx.log.info("later") end) end
function M.on_data() while true do fwx.sleep(0) end end
return M
`, `
function T.passes(t)
  t:start()
  local c = t:connect()
  t:equal({ c.verdict, c.state }, { "pass", "open" })
  t:equal(#t:logs("later"), 1)
  t:equal(t:time(), 1767225600)
end
function T.endless(t) t:start() t:connect():send("x") end
`, Options{}), map[string]string{"passes": "", "endless": "do not stop"})
}

// TestLogText looks for lines of the log by what they say.
func TestLogText(t *testing.T) {
	check(t, runTests(t, `local fwx = require "fwx"
return { on_connect = function() fwx.log.warn('said "no"', { to = 'the "other" one', n = 5, lines = "a\nb" }) end }
`, `
function T.text(t)
  t:start()
  t:connect()
  local line = t:logs('said "no"')[1]
  t:equal(line.to, 'the "other" one')
  t:match(line.text, 'WARN +said "no"')
  t:match(line.text, 'to=the "other" one')
  t:match(line.text, "lines=a\nb")
end
function T.value(t)
  t:start()
  t:connect()
  t:equal(#t:logs('to=the "other" one'), 1)
end
`, Options{}), map[string]string{"text": "", "value": ""})
}

// TestNoServer makes requests of a gateway whose server the test does not play.
func TestNoServer(t *testing.T) {
	check(t, runTests(t, `return {}`, `
function T.http(t)
  t:start{ protocol = "http" }
  local x = t:request()
  t:equal({ x.status, x.complete }, { 502, true })
end
function T.closed(t)
  local server = t:http("192.0.2.80:80", "hello")
  t:start{ protocol = "http" }
  server:close()
  t:equal(t:request().status, 502)
end
function T.tcp(t)
  t:start()
  local c = t:connect()
  c:send("x")
  t:equal(c.server:receive(), "x", "of a listener for TCP there is one")
end
`, Options{}), map[string]string{"http": "", "closed": "", "tcp": ""})
}
