-- Tests of rate_limit.lua: fwx test examples/lua/rate_limit_test.lua
local T = {}

local function start(t, shared)
  t:start { config = { limit = 2, window = 10, ban = 60 }, shared = shared }
end

-- verdicts connects so many times and returns what became of it.
local function verdicts(t, n, client)
  local list = {}
  for i = 1, n do
    list[i] = t:connect({ client = client }).verdict
  end
  return list
end

function T.refuses_who_connects_too_often(t)
  start(t)
  t:equal(verdicts(t, 4), { "pass", "pass", "deny", "deny" })
end

function T.counts_each_client_for_itself(t)
  start(t)
  t:equal(verdicts(t, 2, "10.0.0.1"), { "pass", "pass" })
  t:equal(verdicts(t, 2, "10.0.0.2"), { "pass", "pass" })
  t:equal(t:shared("rate_limit:10.0.0.1"), 2)
end

function T.forgets_after_the_window(t)
  start(t)
  verdicts(t, 2)
  t:advance(10.1)
  t:equal(verdicts(t, 2), { "pass", "pass" })
end

function T.bans_for_longer_than_the_window(t)
  start(t)
  verdicts(t, 3)
  t:equal(#t:logs("banned"), 1, "it is logged once")
  t:advance(59)
  t:equal(verdicts(t, 2), { "deny", "deny" })
  t:advance(2)
  t:equal(verdicts(t, 1), { "pass" })
end

function T.counts_with_other_gateways(t)
  start(t, { ["rate_limit:10.0.0.1"] = 2 }) -- what others have counted
  t:equal(verdicts(t, 1, "10.0.0.1"), { "deny" })
end

function T.refuses_when_it_cannot_count(t)
  start(t, { ["rate_limit:10.0.0.1"] = "no number" })
  local conn = t:connect { client = "10.0.0.1" }
  t:equal(conn.verdict, "fail")
  t:match(conn.reason, "no number that can be added to")
end

return T
