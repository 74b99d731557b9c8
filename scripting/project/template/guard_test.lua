-- Tests of guard.lua, which `fwx test` runs: in memory, and at a time of their own.

---@type table<string, fun(t: fwxtest.t)>
local T = {}

local function start(t)
  t:http("192.0.2.80:80", "welcome") -- the server behind the gateway
  t:start {
    protocol = "http",
    config = { refuse = { "10.0.0.66" }, log = "var/refused.log" },
    allow = { write = { "var/" } },
  }
end

function T.lets_others_through(t)
  start(t)
  local x = t:request { client = "10.0.0.7" }
  t:equal(x.status, 200)
  t:equal(x.body, "welcome")
end

function T.refuses_who_is_to_be_refused(t)
  start(t)
  local x = t:request { client = "10.0.0.66", path = "/secret" }
  t:equal(x.status, 403)
  t:equal(x.body, "you are refused\n")
  t:equal(t:read("var/refused.log"), "2026-01-01 00:00:00 10.0.0.66 /secret\n")
end

function T.does_not_start_without_its_file(t)
  t:fail("var/refused.log", "EACCES", "open")
  t:error(function() start(t) end, "refused.log: permission denied")
end

return T
