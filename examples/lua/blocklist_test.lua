-- Tests of blocklist.lua: fwx test examples/lua/blocklist_test.lua
local T = {}

local path = "lists/blocked.txt"

local function start(t, list)
  if list then t:write(path, list) end
  t:start { config = { path = path }, allow = { read = { "lists/" } } }
end

function T.refuses_who_is_on_the_list(t)
  start(t, "# addresses and networks\n10.0.0.66  # one\n192.168.0.0/16\n")
  for client, verdict in pairs { ["10.0.0.66"] = "deny", ["10.0.0.67"] = "pass", ["192.168.7.7"] = "deny" } do
    t:equal(t:connect({ client = client }).verdict, verdict, client)
  end
end

function T.says_why(t)
  start(t, "10.0.0.66\n")
  local conn = t:connect { client = "10.0.0.66" }
  t:equal(conn.reason, "client 10.0.0.66 is on the blocklist")
  t:equal(conn.state, "reset")
  t:equal(conn.server, nil, "no server is connected")
end

function T.reads_the_list_again_when_it_has_changed(t)
  start(t, "10.0.0.66\n")
  t:write(path, "10.0.0.67\n")
  t:advance(0.1) -- changes are gathered for a moment
  t:equal(t:connect({ client = "10.0.0.66" }).verdict, "pass")
  t:equal(t:connect({ client = "10.0.0.67" }).verdict, "deny")
end

function T.keeps_the_list_when_it_cannot_be_read_again(t)
  start(t, "10.0.0.66\n")
  t:fail(path, "EIO", "read")
  t:write(path, "10.0.0.67\n")
  t:advance(0.1)
  t:equal(t:connect({ client = "10.0.0.66" }).verdict, "deny")
  t:match(t:logs("script error")[1].error, "the list stays as it is")
end

function T.names_the_lines_that_are_wrong(t)
  start(t, "10.0.0.66\nnonsense\n")
  local line = t:logs("a line of the list is left out")[1]
  t:equal({ line.path, line.line }, { path, 2 })
end

function T.does_not_start_without_a_list(t)
  t:error(function() start(t) end, "lists")
end

return T
