-- Tests of spool.lua: fwx test examples/lua/spool_test.lua
local T = {}

local function start(t, config)
  t:start { config = config, allow = { write = { "var/" } } }
end

local copy = "var/spool/20260101T000000Z-1.bin"

function T.keeps_what_the_client_sends(t)
  start(t)
  local conn = t:connect()
  conn:send("one, ")
  conn:send("two")
  conn.server:send("not this")
  t:equal(conn.server:receive(), "one, two")
  t:equal(conn:receive(), "not this")
  conn:close()
  t:equal(t:files(), { copy })
  t:equal(t:read(copy), "one, two")
end

function T.keeps_large_uploads_whole(t)
  start(t)
  local conn = t:connect()
  local upload = ("all of this is kept "):rep(20000)
  conn:send(upload)
  t:equal(#conn.server:receive(), #upload)
  t:truthy(t:read(copy) == upload, "the copy differs")
end

function T.removes_the_copy_when_it_is_told_to(t)
  start(t, { keep = false })
  local conn = t:connect()
  conn:send("hello")
  t:equal(t:read(copy), "hello")
  conn:close()
  conn.server:close()
  t:equal(t:files(), {})
end

function T.sends_nothing_on_that_was_not_written(t)
  start(t)
  local conn = t:connect()
  conn:send("kept")
  t:fail(copy, "ENOSPC", "write")
  conn:send("lost")
  t:equal(conn.server:receive(), "kept")
  t:equal(conn.verdict, "fail")
  t:match(conn.reason, "no space left on device")
  t:equal(conn.state, "reset")
end

function T.refuses_whom_it_has_no_file_for(t)
  start(t)
  t:fail("var/spool", "EMFILE", "open")
  local conn = t:connect()
  t:equal(conn.verdict, "fail")
  t:equal(conn.server, nil)
end

return T
