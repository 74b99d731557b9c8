-- Tests of header_policy.lua: fwx test examples/lua/header_policy_test.lua
local T = {}

local function start(t)
  t:http("192.0.2.80:80", {
    headers = { Server = "secret/1.0", ["X-Frame-Options"] = { "ALLOW", "x" } }, body = "hello",
  })
  t:start {
    protocol = "http",
    config = { remove = { "Server" }, set = { ["X-Frame-Options"] = "DENY" }, hosts = { "example.com" } },
  }
end

function T.removes_and_sets_headers_of_responses(t)
  start(t)
  local x = t:request { host = "Example.com:80" }
  t:equal({ x.status, x.body }, { 200, "hello" })
  t:equal(x.headers.server, nil)
  t:equal(x.headers["x-frame-options"], "DENY")
end

function T.other_hosts_are_not_served(t)
  start(t)
  t:equal(t:request({ host = "other.example" }).status, 421)
  t:equal(t:request({ host = "EXAMPLE.com.:8080" }).status, 200) -- another spelling
end

return T
