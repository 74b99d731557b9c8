-- Asks a service over HTTP whether a client may connect, before a server is connected.
-- The service answers 200 or 204 to allow and 403 to refuse; the body of a 403 says why.
-- Answers are remembered for a while. When the service does not answer in time, or
-- answers anything else, `on_failure` decides.
--
--   [[filter]]
--   name   = "external_check"
--   kind   = "lua"
--   script = "examples/lua/external_check.lua"
--   [filter.allow]
--   connect = ["127.0.0.1:8000"]
--   [filter.config]
--   url        = "http://127.0.0.1:8000/check?client="   # the address is put behind it
--   timeout    = 0.5          # seconds
--   remember   = 60           # seconds
--   on_failure = "deny"       # or "allow"

local fwx = require "fwx"
local M = {}

local url, timeout, remember, allow_on_failure

local answers, count = {}, 0 -- by address: when it expires, and why the client is refused
local max_answers = 10000

function M.on_init(config)
  url = assert(config.url, "external_check: config.url is missing")
  timeout, remember = config.timeout or 0.5, config.remember or 60
  local policy = config.on_failure or "deny"
  assert(policy == "deny" or policy == "allow", 'external_check: on_failure wants "deny" or "allow"')
  allow_on_failure = policy == "allow"
end

local function keep(client, reason)
  if count >= max_answers then -- rare: to start again is cheaper than to look for the oldest
    answers, count = {}, 0
  end
  if not answers[client] then count = count + 1 end
  answers[client] = { expires = fwx.clock() + remember, reason = reason }
end

-- ask returns whether there was an answer, and why the client is refused; nil: it is not.
local function ask(client)
  local response, err = fwx.http.get(url .. client, { timeout = timeout, max_body = 1024, redirects = 0 })
  if not response then return false, err end
  if response.status == 200 or response.status == 204 then return true, nil end
  if response.status == 403 then
    return true, response.body ~= "" and response.body or "refused by the service"
  end
  return false, "the service answered with status " .. response.status
end

local function verdict(reason)
  if reason then return fwx.deny(reason) end
end

function M.on_connect(conn)
  local client = conn.client
  if not client then return end -- a unix socket: there is no address to ask about
  local known = answers[client]
  if known and fwx.clock() < known.expires then return verdict(known.reason) end

  local answered, reason = ask(client) -- this connection waits; nobody else does
  if answered then
    keep(client, reason)
    return verdict(reason)
  end
  fwx.log.warn("the external check has failed", { client = client, error = reason })
  if not allow_on_failure then return fwx.deny("the external check has failed") end
end

return M
