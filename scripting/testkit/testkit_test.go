package testkit

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"fwx/framework/fwxtest"
)

func TestMain(m *testing.M) { fwxtest.VerifyMain(m) }

// runAll runs the tests beneath a directory, each of which must pass.
func runAll(t *testing.T, dir string) (tests int) {
	t.Helper()
	files, err := Find([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		f := Run(t.Context(), path, Options{})
		if f.Err != nil {
			t.Error(f.Err)
		}
		for _, test := range f.Tests {
			if test.Failure != "" {
				t.Errorf("%s: %s\n%s\n%s", path, test.Name, test.Failure, test.Output)
			}
		}
		tests += len(f.Tests)
	}
	return tests
}

// TestExamples runs the tests of the example scripts, of which each has some.
func TestExamples(t *testing.T) {
	const dir = "../../examples/lua"
	if n := runAll(t, dir); n < 40 {
		t.Errorf("there are %d tests", n)
	}
	scripts, err := filepath.Glob(filepath.Join(dir, "*.lua"))
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range scripts {
		if strings.HasSuffix(script, suffix) {
			continue
		}
		if _, err := os.Stat(strings.TrimSuffix(script, ".lua") + suffix); err != nil {
			t.Errorf("%s has no test: %v", script, err)
		}
	}
}

var (
	codeOfPage = regexp.MustCompile("(?s)```lua\n(.*?)```\n")
	nameOfCode = regexp.MustCompile(`^-- (\w+\.lua)\n`)
)

// TestPage runs the examples of the reference page: files, which begin with their
// names, whole tests without one, and functions that go into the test of the page.
func TestPage(t *testing.T) {
	page, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil { //nolint:gosec // a folder of the test
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil { //nolint:gosec // a file of the test
			t.Fatal(err)
		}
	}
	named := make(map[string]string)
	var functions string
	for _, block := range codeOfPage.FindAllStringSubmatch(string(page), -1) {
		code := block[1]
		switch name := nameOfCode.FindStringSubmatch(code); {
		case name != nil:
			named[name[1]] = code
			write(name[1], code)
		case strings.HasSuffix(code, "return T\n"):
			write("whole/door.lua", named["door.lua"])
			write("whole/door_test.lua", code)
		default:
			functions += code
		}
	}
	write("more/door.lua", named["door.lua"])
	write("more/door_test.lua", strings.TrimSuffix(named["door_test.lua"], "return T\n")+functions+"return T\n")
	if n := runAll(t, dir); n < 20 {
		t.Errorf("there are %d tests", n)
	}
}

// TestLuacheck has the scripts and tests that we show looked at.
func TestLuacheck(t *testing.T) {
	luacheck := fwxtest.Require(t, "luacheck")
	out, err := exec.CommandContext(t.Context(), luacheck, "--std", "lua51", "--quiet", "../../examples/lua", "../project/template").CombinedOutput()
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}

// script is a script that the tests below drive.
const script = `
local fwx = require "fwx"
local M = {}
function M.on_init(config)
  if config.sleep then fwx.sleep(config.sleep) end
  if config.every then fwx.every(config.every, function() fwx.shared.incr("ticks") end) end
end
function M.on_connect(conn)
  local what = conn.client
  if what == "10.0.0.1" then fwx.sleep(3600)
  elseif what == "10.0.0.2" then fwx.random.bytes(4) error("no idea")
  elseif what == "10.0.0.3" then
    local s = assert(fwx.connect("tcp://10.0.0.9:7"))
    s:receive()
  elseif what == "10.0.0.4" then while true do end
  elseif what == "10.0.0.5" then
    local s = assert(fwx.connect("tls://10.0.0.9:443"))
    assert(s:send(("x"):rep(200000) .. "\n"))
    local line, err = s:receive_line()
    assert(s:receive() == nil)
    return fwx.deny(line or err)
  elseif what == "10.0.0.6" then
    assert(fwx.connect("tls://10.0.0.9:443", { ca = "ca.pem" }))
  end
end
return M
`

// runText runs tests of the script and returns what became of them, by name.
func runText(t *testing.T, text string, o Options) map[string]Test {
	t.Helper()
	return runTests(t, script, text, o)
}

func runTests(t *testing.T, script, text string, o Options) map[string]Test {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	for name, content := range map[string]string{"a.lua": script, "a_test.lua": "local T = {}\n" + text + "\nreturn T\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := Run(t.Context(), "a_test.lua", o)
	if f.Err != nil {
		t.Fatal(f.Err)
	}
	tests := make(map[string]Test)
	for _, test := range f.Tests {
		tests[test.Name] = test
	}
	return tests
}

// check compares how tests have ended: an empty text means that one has passed.
func check(t *testing.T, tests map[string]Test, want map[string]string) {
	t.Helper()
	for name, text := range want {
		test, ok := tests[name]
		switch {
		case !ok:
			t.Errorf("there is no test %s", name)
		case text == "" && test.Failure != "":
			t.Errorf("%s has failed: %s\n%s", name, test.Failure, test.Output)
		case !strings.Contains(test.Failure, text):
			t.Errorf("%s: %q lacks %q", name, test.Failure, text)
		}
	}
}

// TestFailures looks at what tests are told that fail.
func TestFailures(t *testing.T) {
	check(t, runText(t, `
function T.equal(t) t:equal(1, 2, "sums") end
function T.types(t) t:equal("1", 1) end
function T.tables(t) t:equal({ a = 1, b = { 1, 2, 3 } }, { a = 1, b = { 1, 2 } }) end
function T.lines(t) t:equal(("x\n"):rep(50) .. "a\r\nb\n", ("x\n"):rep(50) .. "a\r\nc\n") end
function T.long(t) t:equal(("x"):rep(100) .. "1", ("x"):rep(100) .. "2") end
function T.match(t) t:match("hello", "^l+") end
function T.match_nil(t) t:match(nil, "x") end
function T.truthy(t) t:truthy(false) end
function T.error_none(t) t:error(function() end) end
function T.error_other(t) t:error(function() error("this") end, "that") end
function T.error_right(t) t:error(function() error("this") end, "th.s") end
function T.plain(t) local x = nil; x.y = 1 end
function T.method(t) t.connect() end
function T.unknown(t) t:conect() end
function T.not_started(t) t:connect() end
function T.twice(t) t:start() t:start() end
function T.option(t) t:start{ confg = {} } end
function T.allow(t) t:start{ allow = { raed = { "x" } } } end
function T.code(t) t:fail("x", "ENOSPACE") end
function T.op(t) t:fail("x", "ENOSPC", "writ") end
function T.never(t) t:start() t:eventually(function() return false end) end
function T.waits(t) t:start() t:connect{ client = "10.0.0.1" } t:eventually(function() return false end, 60) end
function T.nobody(t) t:start() t:server("10.0.0.9:7"):accept() end
function T.function_of_server(t)
  t:server("192.0.2.80:80", function(peer, data) return #data end)
  t:start() t:connect():send("x")
end
function T.raise_in_server(t)
  t:server("192.0.2.80:80", function(peer, data) error("oops") end)
  t:start() t:connect():send("x")
end
function T.ping_pong(t)
  t:server("192.0.2.80:80", function(peer, data) peer:send(data) t:advance(1) end)
  t:start() t:connect():send("x")
end
local function helper(t) t:equal(1, 2) end
function T.in_a_helper(t) helper(t) end
`, Options{}), map[string]string{
		"equal":              "a_test.lua:3: sums\ngot:  1\nwant: 2",
		"types":              "got:  \"1\"\nwant: 1",
		"tables":             "got:  { a = 1, b = { 1, 2, 3 } }\nwant: { a = 1, b = { 1, 2 } }",
		"lines":              "- want, + got\n  … 49 the same\n  \"x\\n\"\n  \"a\\r\\n\"\n- \"c\\n\"\n+ \"b\\n\"",
		"long":               "- \"" + strings.Repeat("x", 36) + "2\"\n+ \"" + strings.Repeat("x", 36) + "1\"",
		"match":              "a_test.lua:8: the pattern is not found\ngot:     \"hello\"\npattern: \"^l+\"",
		"match_nil":          "got:     nil",
		"truthy":             "it is false",
		"error_none":         "it has raised no error",
		"error_other":        "message: \"this\"\npattern: \"that\"",
		"error_right":        "",
		"plain":              "a_test.lua:14: attempt to index a non-table object(nil)",
		"method":             "call it with a colon",
		"unknown":            `t has no "conect"; did you mean "connect"?`,
		"not_started":        "t:start{",
		"twice":              "started already",
		"option":             `there is no option "confg"; did you mean "config"?`,
		"allow":              `there is no option "allow.raed"; did you mean "read"?`,
		"code":               `there is no code "ENOSPACE"; did you mean "ENOSPC"?`,
		"op":                 `there is no operation "writ"; did you mean "write"?`,
		"never":              "it will never come",
		"waits":              "it has not come within 1m0s\nconnection 1, 10.0.0.1:32769: on_connect waits in sleep at a.lua:10",
		"nobody":             "nobody has connected to the server 10.0.0.9:7",
		"function_of_server": "returned a number; wants a string or nil",
		"raise_in_server":    "oops",
		"ping_pong":          "can only use its peer",
		"in_a_helper":        "a_test.lua:38: not equal\ngot:  1\nwant: 2\ncalled from a_test.lua:39",
	})
}

// TestLimits looks at tests that would not end.
func TestLimits(t *testing.T) {
	check(t, runText(t, `
function T.for_ever() while true do end end
function T.for_very_long(t)
  t:start{ config = { every = 0.001 } }
  t:advance(3600 * 24 * 365)
end
`, Options{Timeout: 300 * time.Millisecond}), map[string]string{
		"for_ever": "it has not ended after 300ms", "for_very_long": "it has not ended after 300ms",
	})
}

// TestTime looks at scripts that wait, at the start and later.
func TestTime(t *testing.T) {
	check(t, runText(t, `
function T.on_init_may_sleep(t)
  t:start{ config = { sleep = 30 } }
  t:truthy(t:time() % 3600 >= 30)
end
function T.on_init_may_not_sleep_for_ever(t)
  t:error(function() t:start{ config = { sleep = -1 } } end, "seconds from 0")
end
function T.ticks(t)
  t:start{ config = { every = 2 } }
  t:advance(7200)
  t:equal(t:shared("ticks"), 3600)
end
function T.a_connection_that_is_held(t)
  t:start()
  local conn = t:connect{ client = "10.0.0.1" }
  t:equal(conn.held, true)
  t:equal(conn.waits, "on_connect waits in sleep at a.lua:10")
  t:equal(conn.server, nil)
  t:advance(3600)
  t:equal(conn.held, false)
  t:equal(conn.verdict, "pass")
  t:truthy(conn.server)
end
function T.a_server_that_is_silent(t)
  local server = t:server("10.0.0.9:7")
  t:start{ allow = { connect = { "10.0.0.9:7" } } }
  local conn = t:connect{ client = "10.0.0.3" }
  t:match(conn.waits, "receive")
  server:accept():reset()
  t:equal(conn.held, false)
end
function T.a_budget(t)
  t:start{ budget = 10000 }
  t:match(t:connect{ client = "10.0.0.4" }.reason, "budget")
end
function T.errors_of_the_script(t)
  t:start()
  local conn = t:connect{ client = "10.0.0.2" }
  t:equal(conn.verdict, "fail")
  local line = t:logs("script error")[1]
  t:equal({ line.error, line.line, line.handler }, { "a.lua:11: no idea", 11, "on_connect" })
  t:equal(t:metric("fwx_script_errors_total", { handler = "on_connect" }), 1)
  t:equal(t:metric("no_such_metric"), nil)
end
`, Options{}), map[string]string{
		"on_init_may_sleep": "", "on_init_may_not_sleep_for_ever": "", "ticks": "", "a_connection_that_is_held": "",
		"a_server_that_is_silent": "", "a_budget": "", "errors_of_the_script": "",
	})
}

// TestTLS has the script speak TLS to a server of the test.
func TestTLS(t *testing.T) {
	check(t, runText(t, `
local settings = { allow = { connect = { "10.0.0.9:443" }, read = { "ca.pem" } } }
function T.both_ways(t)
  local server = t:server("tls://10.0.0.9:443")
  t:start(settings)
  local conn = t:connect{ client = "10.0.0.5" }
  local peer = server:accept()
  t:equal(#peer:receive(), 200001)
  peer:send("go ")
  peer:send("away\n")
  t:equal(conn.held, true)
  peer:finish()
  t:equal(conn.reason, "go away")
  t:equal(peer.state, "closed")
end
function T.an_answer_at_once(t)
  t:server("tls://10.0.0.9:443", function(peer, data)
    if data:find("\n") then peer:close() return nil end
  end)
  t:start(settings)
  t:equal(t:connect{ client = "10.0.0.5" }.held, false)
end
function T.a_reset(t)
  local server = t:server("tls://10.0.0.9:443")
  t:start(settings)
  local conn = t:connect{ client = "10.0.0.5" }
  server:accept():reset()
  t:match(conn.reason, "reset")
end
function T.an_authority_of_its_own(t)
  t:server("tls://10.0.0.9:443")
  t:write("ca.pem", t:authority())
  t:start(settings)
  t:equal(t:connect{ client = "10.0.0.6" }.verdict, "pass")
end
function T.a_server_without_TLS(t)
  t:server("10.0.0.9:443", function() return "SSH-2.0\r\n" end)
  t:start(settings)
  t:match(t:connect{ client = "10.0.0.5" }.reason, "tls")
end
`, Options{}), map[string]string{
		"both_ways": "", "an_answer_at_once": "", "a_reset": "", "an_authority_of_its_own": "", "a_server_without_TLS": "",
	})
}

// TestOrder checks that tests run as they stand in the file, and what Match leaves out.
func TestOrder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x_test.lua")
	text := "local T = {}\nfunction T.zebra() end\nfunction T.ant() end\nfunction T.bee() end\nreturn T\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	names := func(o Options) (list []string) {
		for _, test := range Run(t.Context(), path, o).Tests {
			list = append(list, test.Name)
		}
		return list
	}
	if got := names(Options{}); !slices.Equal(got, []string{"zebra", "ant", "bee"}) {
		t.Error(got)
	}
	if got := names(Options{Match: regexp.MustCompile("^[ab]")}); !slices.Equal(got, []string{"ant", "bee"}) {
		t.Error(got)
	}
}
