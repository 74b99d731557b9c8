-- Tests of auth_callout.lua: fwx test examples/lua/auth_callout_test.lua
local T = {}

local service = "10.0.0.9:8000"

-- start plays the server, and returns it.
local function start(t, config)
  local server = t:http("192.0.2.80:80", "welcome")
  config = config or {}
  config.url = "http://" .. service .. "/whose"
  t:start { protocol = "http", config = config, allow = { connect = { service } } }
  return server
end

local function ask(t, token)
  return t:request { headers = { Authorization = token, ["X-User"] = "root" } }
end

function T.a_good_token_goes_on_with_its_owner(t)
  local asked = t:http(service, { status = 204, headers = { ["X-User"] = "anna" } })
  local server = start(t)
  local x = ask(t, "Bearer a")
  t:equal({ x.status, x.body }, { 200, "welcome" })
  t:equal(asked.requests[1].headers.authorization, "Bearer a")
  t:equal(server.requests[1].headers["x-user"], "anna")
end

function T.a_user_that_the_client_claims_to_be_is_taken_away(t)
  t:http(service, { status = 200 })
  local server = start(t)
  t:equal(ask(t, "Bearer a").status, 200)
  t:equal(server.requests[1].headers["x-user"], nil)
end

function T.without_a_token_nobody_is_asked(t)
  local asked = t:http(service, { status = 200 })
  local server = start(t)
  local x = t:request()
  t:equal({ x.status, x.headers["www-authenticate"] }, { 401, "Bearer" })
  t:equal({ #asked.requests, #server.requests }, { 0, 0 })
end

function T.a_good_token_is_remembered_for_a_minute(t)
  local asked = t:http(service, { status = 200 })
  start(t)
  ask(t, "Bearer a")
  t:advance(59)
  ask(t, "Bearer a")
  t:equal(#asked.requests, 1)
  t:advance(2)
  ask(t, "Bearer a")
  t:equal(#asked.requests, 2)
end

for _, status in ipairs { 401, 403 } do
  T["a refusal is remembered for a shorter time: " .. status] = function(t)
    local asked = t:http(service, { status = status })
    local server = start(t)
    t:equal(ask(t, "Bearer b").status, status)
    t:equal(ask(t, "Bearer b").status, status)
    t:equal(#asked.requests, 1)
    t:advance(6)
    ask(t, "Bearer b")
    t:equal(#asked.requests, 2)
    t:equal(#server.requests, 0)
  end
end

function T.tokens_are_told_apart(t)
  t:http(service, function(request) return { status = request.headers.authorization == "Bearer a" and 200 or 403 } end)
  start(t)
  t:equal(ask(t, "Bearer a").status, 200)
  t:equal(ask(t, "Bearer b").status, 403)
  t:equal(t:shared("auth:Bearer a"), nil)
end

function T.the_service_is_asked_once_for_all_who_come_at_the_same_time(t)
  local asked = t:http(service, { after = 0.5, status = 200 })
  start(t)
  local all = {}
  for i = 1, 10 do all[i] = ask(t, "Bearer a") end
  t:equal(all[1].status, nil)
  t:advance(0.6)
  for i = 1, 10 do t:equal(all[i].status, 200) end
  t:equal(#asked.requests, 1)
end

-- How the service can fail, and what then becomes of a request.
local failures = {
  ["answers with an error"] = function(t) t:http(service, { status = 500 }) end,
  ["is away"] = function() end,
  ["cannot be reached"] = function(t) t:fail(service, "EHOSTUNREACH") end,
  ["never answers"] = function(t) t:http(service, function() return nil end) end,
  ["is cut off"] = function(t) t:http(service, { body = "x", cut = true }) end,
  ["answers too much"] = function(t) t:http(service, ("x"):rep(2000)) end,
}

for what, fail in pairs(failures) do
  for policy, status in pairs { refuse = 503, allow = 200 } do
    T[("%ss when the service %s"):format(policy, what)] = function(t)
      fail(t)
      local server = start(t, { on_failure = policy })
      local one, two = ask(t, "Bearer a"), ask(t, "Bearer a")
      t:eventually(function() return one.complete and two.complete end, 2)
      t:equal({ one.status, two.status }, { status, status })
      t:equal(#server.requests, policy == "allow" and 2 or 0)
    end
  end
end

function T.a_service_that_has_failed_is_asked_again_after_a_second(t)
  local up = false
  t:http(service, function() return { status = up and 200 or 500 } end)
  start(t)
  t:equal(ask(t, "Bearer a").status, 503)
  up = true
  t:equal(ask(t, "Bearer a").status, 503)
  t:advance(1.1)
  t:equal(ask(t, "Bearer a").status, 200)
end

function T.does_not_start_with_a_policy_that_it_does_not_know(t)
  t:error(function() start(t, { on_failure = "maybe" }) end, 'on_failure wants "refuse" or "allow"')
end

return T
