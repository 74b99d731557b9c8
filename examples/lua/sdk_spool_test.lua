-- Tests of sdk_spool.lua: fwx test examples/lua/sdk_spool_test.lua
local T = {}

local function start(t)
  t:start { config = { dir = "var" }, allow = { write = { "var/" } } }
end

local copy = "var/20260101T000000Z-1.bin"

function T.keeps_what_the_client_sends(t)
  start(t)
  local conn = t:connect()
  conn:send("one, ")
  conn:send("two")
  conn.server:send("not this")
  t:equal(conn.server:receive(), "one, two")
  t:equal(t:read(copy), "one, two")
end

function T.ends_the_connection_when_a_write_fails(t)
  start(t)
  local conn = t:connect()
  t:fail(copy, "EIO")
  conn:send("lost")
  t:equal(conn.server:receive(), "")
  t:equal(conn.verdict, "fail")
  local line = t:logs("a write has failed")[1]
  t:equal({ line.level, line.path }, { "error", copy })
end

function T.refuses_whom_it_has_no_file_for(t)
  start(t)
  t:fail("var", "EACCES", "open")
  t:match(t:connect().reason, "permission denied")
end

return T
