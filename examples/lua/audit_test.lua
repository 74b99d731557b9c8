-- Tests of audit.lua: fwx test examples/lua/audit_test.lua
local T = {}

local function start(t)
  t:start { config = { path = "var/audit.jsonl" }, allow = { write = { "var/" } } }
end

-- records returns what has been written so far.
local function records(t)
  local list = {}
  for line in (t:read("var/audit.jsonl") or ""):gmatch("[^\n]+") do
    list[#list + 1] = t:json(line)
  end
  return list
end

function T.writes_a_line_for_each_connection(t)
  start(t)
  local conn = t:connect { client = "10.0.0.7:1234" }
  conn:send("hello")
  conn.server:send("hello to you")
  t:advance(1.5)
  t:equal(records(t), {}, "a connection is recorded at its end")
  conn:close()
  conn.server:close()
  t:equal(records(t), {
    {
      id = 1,
      client = "10.0.0.7",
      server = "192.0.2.80:80",
      listener = "listener",
      upstream = "upstream",
      bytes_up = 5,
      bytes_down = 12,
      duration = 1.5,
      verdict = "pass",
      time = "2026-01-01T00:00:01Z",
    },
  })
end

function T.tells_why_a_connection_failed(t)
  t:fail("192.0.2.80:80", "ECONNREFUSED")
  start(t)
  t:connect()
  local record = records(t)[1]
  t:equal(record.verdict, "fail")
  t:match(record.reason, "no server could be connected")
end

function T.loses_nothing_while_the_disk_is_full(t)
  start(t)
  t:fail("var/audit.jsonl", "ENOSPC", "write")
  for _ = 1, 3 do
    t:connect():reset()
  end
  t:equal(records(t), {})
  t:equal(#t:logs("appending to a file fails.*no space"), 1, "it is said once")
  t:mend("var/audit.jsonl")
  t:advance(1) -- it is tried again every second
  t:equal(#records(t), 3)
end

function T.does_not_start_without_its_file(t)
  t:fail("var/audit.jsonl", "EACCES", "open")
  t:error(function() start(t) end, "audit.jsonl: permission denied")
end

function T.does_not_start_without_the_permission(t)
  t:error(function() t:start() end, "not allowed to write var/audit.jsonl")
end

return T
