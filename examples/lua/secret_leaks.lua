-- Finds secrets in the bodies of responses, keys and tokens that a server should never
-- have sent, and takes them out or refuses the response. The log says which pattern has
-- matched and where, never what.
--
--   [[listener]]
--   protocol = "http"
--   filters  = ["secret_leaks"]
--
--   [[filter]]
--   name   = "secret_leaks"
--   kind   = "lua"
--   script = "examples/lua/secret_leaks.lua"
--   [filter.config]
--   action   = "block"                 # or "redact"
--   limit    = 262144                  # bytes; a longer body is refused, as nobody has looked at it
--   types    = ["text/", "application/json"]   # how the Content-Type begins; without one it is looked at
--   [filter.config.patterns]           # in place of those below, in the syntax of RE2
--   internal_token = 'tok_[0-9a-f]{32}'

local fwx = require "fwx"
local M = {}

local action, limit, types
local patterns = {} -- { name, expression }, in the order of their names

local usual = {
  aws_access_key = [[\b(?:AKIA|ASIA)[0-9A-Z]{16}\b]],
  github_token = [[\bgh[opsru]_[0-9A-Za-z]{36}]],
  json_web_token = [[\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}]],
  private_key = [[(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)]],
  slack_token = [[\bxox[abeprs]-[0-9A-Za-z-]{10,}]],
}

function M.on_init(config)
  action, limit = config.action or "block", config.limit or 262144
  assert(action == "block" or action == "redact", 'secret_leaks: action wants "block" or "redact"')
  types = config.types or { "text/", "application/json", "application/javascript", "application/xml" }
  for name, pattern in pairs(config.patterns or usual) do
    patterns[#patterns + 1] = { name = name, re = assert(fwx.re.compile(pattern)) }
  end
  table.sort(patterns, function(a, b) return a.name < b.name end)
end

local function wanted(content_type)
  for _, beginning in ipairs(types) do
    if content_type:sub(1, #beginning) == beginning then return true end
  end
  return content_type == ""
end

function M.on_request(_, req)
  req.headers:remove("Accept-Encoding") -- in what is compressed nothing can be found
  req.headers:remove("Range")           -- nor in half of a secret
end

local function refuse(status, text)
  return fwx.respond(status, { ["Content-Type"] = "text/plain" }, text)
end

function M.on_response(conn, _, res)
  conn.ctx.look = wanted((res.headers:get("Content-Type") or ""):lower())
  if not conn.ctx.look then return end
  if (res.headers:get("Content-Encoding") or "identity") ~= "identity" then
    return refuse(502, "the response is compressed, so that it cannot be looked at\n")
  end
  res:whole_body(limit) -- gathered before any of it goes on: what is longer is refused
end

function M.on_response_body(conn, req, res, chunk)
  if not conn.ctx.look or #chunk == 0 then return end
  local text, found = tostring(chunk), false
  for _, p in ipairs(patterns) do
    local redacted, n = p.re:replace(text, "[redacted]")
    if n > 0 then
      text, found = redacted, true
      fwx.log.warn("a secret in a response", {
        pattern = p.name, count = n, action = action, id = req.id, host = req.host,
        path = req.path, -- without the query: there may be secrets in that, too
      })
    end
    fwx.sleep(0) -- others have the worker between two patterns, and the budget begins anew
  end
  if not found then return end
  if action == "block" then return refuse(502, "the response was refused\n") end
  res.headers:remove("ETag")
  return text
end

return M
