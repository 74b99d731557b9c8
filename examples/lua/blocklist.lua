-- Refuses clients whose address is in a file. The file is read without holding up
-- any connection, and read again when it has changed.
--
--   [[filter]]
--   name   = "blocklist"
--   kind   = "lua"
--   script = "examples/lua/blocklist.lua"
--   [filter.allow]
--   read = ["examples/lua/blocked.txt"]
--   [filter.config]
--   path = "examples/lua/blocked.txt"     # one address or network a line

local fwx = require "fwx"
local M = {}

local blocked -- the list

function M.on_init(config)
  -- Without its list the gateway does not start. Later the list is read again when it
  -- has changed; if that fails it stays as it is. Lines that are wrong are logged.
  blocked = assert(fwx.list.open { path = config.path or "examples/lua/blocked.txt", kind = "cidr" })
end

function M.on_connect(conn)
  if blocked:contains(conn.client) then
    return fwx.deny("client " .. conn.client .. " is on the blocklist")
  end
end

return M
