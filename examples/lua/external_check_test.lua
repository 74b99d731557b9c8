-- Tests of external_check.lua: fwx test examples/lua/external_check_test.lua
local T = {}

local service = "10.0.0.9:8000"

local function start(t, config)
  config = config or {}
  config.url = "http://" .. service .. "/check?client="
  t:start { config = config, allow = { connect = { service } } }
end

function T.lets_through_whom_the_service_allows(t)
  local asked = t:http(service, { status = 204 })
  start(t)
  t:equal(t:connect({ client = "10.1.2.3" }).verdict, "pass")
  t:equal(asked.requests[1].target, "/check?client=10.1.2.3")
end

function T.refuses_whom_the_service_refuses(t)
  t:http(service, { status = 403, body = "no customer of ours" })
  start(t, { on_failure = "allow" })
  local conn = t:connect()
  t:equal(conn.verdict, "deny")
  t:equal(conn.reason, "no customer of ours")
end

function T.remembers_an_answer_for_a_while(t)
  local asked = t:http(service, "yes")
  start(t, { remember = 60 })
  t:connect()
  t:connect()
  t:equal(#asked.requests, 1)
  t:advance(61)
  t:connect()
  t:equal(#asked.requests, 2, "an old answer is asked for again")
end

function T.asks_for_each_client(t)
  local asked = t:http(service, function(request)
    return { status = request.target:find("10.0.0.66", 1, true) and 403 or 200 }
  end)
  start(t)
  t:equal(t:connect({ client = "10.0.0.66" }).reason, "refused by the service")
  t:equal(t:connect({ client = "10.0.0.67" }).verdict, "pass")
  t:equal(#asked.requests, 2)
end

function T.gives_a_slow_service_its_time_and_no_more(t)
  t:http(service, function() return nil end) -- never answers
  start(t, { timeout = 0.5 })
  local conn = t:connect()
  t:advance(0.4)
  t:truthy(conn.held)
  t:match(conn.waits, "on_connect waits in get")
  t:advance(0.2)
  t:equal(conn.reason, "the external check has failed")
end

-- How the service can fail, and what then becomes of a client.
local failures = {
  ["answers with an error"] = function(t) t:http(service, { status = 500 }) end,
  ["is away"] = function() end, -- nobody listens
  ["cannot be reached"] = function(t) t:fail(service, "EHOSTUNREACH") end,
  ["breaks off"] = function(t) t:http(service, function(_, peer) peer:reset() end) end,
  ["talks nonsense"] = function(t) t:server(service, function() return "what?\r\n\r\n" end) end,
}

for what, fail in pairs(failures) do
  for policy, verdict in pairs { deny = "deny", allow = "pass" } do
    T[("%ss when the service %s"):format(policy, what)] = function(t)
      fail(t)
      start(t, { on_failure = policy })
      local conn = t:connect { client = "10.1.2.3" }
      t:equal(conn.verdict, verdict)
      t:equal(t:logs("the external check has failed")[1].client, "10.1.2.3")
    end
  end
end

function T.does_not_start_with_a_policy_that_it_does_not_know(t)
  t:error(function() start(t, { on_failure = "maybe" }) end, 'on_failure wants "deny" or "allow"')
end

return T
