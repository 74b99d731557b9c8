package testkit

import "testing"

// TestRotation has a script's log renamed and removed where the disk refuses what comes next.
func TestRotation(t *testing.T) {
	const rotating = `local fwx = require "fwx"
local M = {}
local log
function M.on_init() log = assert(fwx.file.open("var/log", "a")) end
function M.on_data(conn, chunk, direction)
  if direction == "upstream" then
    if tostring(chunk) == "rotate" then assert(fwx.file.rename("var/log", "var/old")) else assert(log:append(chunk .. "\n")) end
  end
end
return M
`
	check(t, runTests(t, rotating, `
local function start(t)
  t:start{ allow = { read = { "var/" }, write = { "var/" } } }
  return t:connect()
end
function T.renamed(t)
  local c = start(t)
  c:send("one")
  c:send("rotate")
  c:send("two")
  t:equal(t:read("var/old"), "one\ntwo\n", "it takes a moment until that is noticed")
  t:advance(0.1)
  c:send("three")
  t:equal(t:read("var/log"), "three\n")
end
function T.denied(t)
  local c = start(t)
  t:fail("var/log", "EACCES", "open")
  c:send("rotate")
  t:advance(0.1)
  c:send("one")
  t:equal(t:read("var/old"), "one\n")
  t:equal(t:read("var/log"), nil)
  t:advance(10)
  t:equal(#t:logs("cannot be opened anew"), 1)
  t:mend("var/log")
  t:advance(1)
  c:send("two")
  t:equal(t:read("var/old"), "one\n")
  t:equal(t:read("var/log"), "two\n")
end
function T.full(t)
  local c = start(t)
  t:fail("var/log", "ENOSPC", "write")
  c:send("one")
  c:send("rotate")
  t:advance(5)
  c:send("two")
  t:equal(t:read("var/log"), nil, "what is queued would be lost")
  t:mend("var/log")
  t:advance(5)
  c:send("three")
  t:equal(t:read("var/old"), "one\ntwo\n")
  t:equal(t:read("var/log"), "three\n")
end
function T.removed(t)
  local c = start(t)
  c:send("one")
  t:remove("var/log")
  t:advance(0.1)
  c:send("two")
  t:equal(t:read("var/log"), "two\n")
end
`, Options{}), map[string]string{"renamed": "", "denied": "", "full": "", "removed": ""})
}
