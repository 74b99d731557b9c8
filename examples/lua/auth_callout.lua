-- Asks a service over HTTP whose token a request has, before the request goes on. Answers
-- are remembered for all workers in fwx.shared, refusals for a shorter time, and requests
-- that come with the same token meanwhile wait for the one answer.
--
-- The service is sent the client's Authorization. It answers 200 or 204 for a token that
-- is good, and may name its owner in X-User, which the server is told; 401 or 403 refuse.
-- Anything else, or no answer in time, is a failure, about which `on_failure` decides.
--
--   [[listener]]
--   protocol = "http"
--   filters  = ["auth_callout"]
--
--   [[filter]]
--   name   = "auth_callout"
--   kind   = "lua"
--   script = "examples/lua/auth_callout.lua"
--   [filter.allow]
--   connect = ["10.0.0.9:8000"]
--   [filter.config]
--   url      = "http://10.0.0.9:8000/whose"
--   timeout  = 1                # seconds
--   remember = 60               # seconds, a token that is good
--   refuse   = 5                # seconds, one that is not
--   on_failure = "refuse"       # with 503; or "allow": without a user

local fwx = require "fwx"
local M = {}

local url, timeout, remember, refuse, allow_on_failure

function M.on_init(config)
  url = assert(config.url, "auth_callout: config.url is missing")
  timeout, remember, refuse = config.timeout or 1, config.remember or 60, config.refuse or 5
  local policy = config.on_failure or "refuse"
  assert(policy == "refuse" or policy == "allow", 'auth_callout: on_failure wants "refuse" or "allow"')
  allow_on_failure = policy == "allow"
end

-- An answer is a status, and behind a blank the user: "200 anna", "403", "503".

-- ask asks the service. A failure is remembered for a second, so that a service that is
-- away is left alone, and those who wait do not try one after the other.
local function ask(token)
  local response, err = fwx.http.get(url, {
    headers = { Authorization = token }, timeout = timeout, max_body = 1024, redirects = 0,
  })
  if not response then
    fwx.log.warn("the service for tokens has failed", { error = err })
    return "503", 1
  end
  local status = response.status
  if status == 200 or status == 204 then return "200 " .. (response.headers:get("X-User") or ""), remember end
  if status == 401 or status == 403 then return tostring(status), refuse end
  fwx.log.warn("the service for tokens has failed", { status = status })
  return "503", 1
end

-- answer_for returns the answer for a token, a known one or a new one.
local function answer_for(token)
  local key = "auth:" .. fwx.hash.sha256(token) -- the store has no need of the token itself
  local deadline = fwx.clock() + timeout
  repeat
    local known = fwx.shared.get(key)
    if known then return known end
    -- Of those that come at the same time one gets true, and asks.
    if fwx.shared.add(key .. ":asked", true, timeout + 1) then
      local answer, seconds = ask(token)
      fwx.shared.set(key, answer, seconds)
      fwx.shared.delete(key .. ":asked")
      return answer
    end
    fwx.sleep(0.02)
  until fwx.clock() > deadline
  return "503"
end

local function respond(status, text, headers)
  headers = headers or {}
  headers["Content-Type"] = "text/plain"
  return fwx.respond(status, headers, text .. "\n")
end

function M.on_request(_, req)
  req.headers:remove("X-User") -- who a client says that he is, is no news
  local token = req.headers:get("Authorization")
  if not token then
    return respond(401, "a token is wanted", { ["WWW-Authenticate"] = "Bearer" })
  end
  local status, user = answer_for(token):match("^(%d+) ?(.*)$")
  if status == "401" then
    return respond(401, "the token is not known", { ["WWW-Authenticate"] = 'Bearer error="invalid_token"' })
  elseif status == "403" then
    return respond(403, "the token is not good for this")
  elseif status == "503" and not allow_on_failure then
    return respond(503, "nobody can say whose the token is", { ["Retry-After"] = "1" })
  end
  if user ~= "" then req.headers:set("X-User", user) end
end

return M
