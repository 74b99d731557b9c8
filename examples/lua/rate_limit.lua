-- Refuses clients that connect too often: more than `limit` times in `window`
-- seconds, counted from the first time, and then for `ban` seconds.
--
-- The count is in fwx.shared, so it is one for all workers, and with
-- `kind = "redis"` in [store] for all gateways. When the store cannot be asked,
-- on_error of this filter decides: "close" refuses, "pass" lets through.

local fwx = require "fwx"

local M = {}
local limit, window, ban = 100, 10, 60

function M.on_init(config)
  limit = config.limit or limit
  window = config.window or window
  ban = config.ban or ban
end

function M.on_connect(conn)
  local client = conn.client or "unix"
  local key = "rate_limit:" .. client
  local count = assert(fwx.shared.incr(key, 1, window))
  if count <= limit then return end
  if count == limit + 1 then -- the one call in which it goes over the limit
    local _, err = fwx.shared.expire(key, ban)
    fwx.log.warn("banned", { client = client, seconds = ban, error = err })
  end
  return fwx.deny(client .. " connects too often")
end

return M
