-- spool.lua in the shape of the filter SDK: an operation is started on the completion
-- port with an overlapped, and a function is notified when it has ended.
--
--   [[filter]]
--   name   = "spool"
--   kind   = "lua"
--   script = "examples/lua/sdk_spool.lua"
--   [filter.allow]
--   write = ["var/"]
--   [filter.config]
--   dir = "var"

local fwx = require "fwx"
local M = {}

local dir

function M.on_init(config)
  dir = config.dir or "var"
end

-- written is notified of the end of each write (IFWXExternalIOCompletion).
local function written(success, bytes, err, _overlapped, spool)
  if success then
    spool.offset = spool.offset + bytes
  else
    fwx.log.error("a write has failed", { path = spool.path, error = err })
  end
end

function M.on_connect(conn)
  local spool = { path = dir .. os.date("!/%Y%m%dT%H%M%SZ-") .. conn.id .. ".bin", offset = 0 }
  spool.handle = assert(fwx.firewall:hook_to_completion_port(spool.path, "w"))
  spool.overlapped = fwx.firewall:create_overlapped()
  assert(spool.overlapped:set_notification_interface(written, spool))
  conn.ctx.spool = spool
end

function M.on_data(conn, chunk, direction)
  if direction ~= "upstream" then return end
  local spool = conn.ctx.spool
  local ov = spool.overlapped:get_overlapped { offset = spool.offset }
  assert(spool.handle:write_file(ov, chunk)) -- comes back at once
  assert(ov:wait()) -- holds the chunk until written has been notified
end

function M.on_close(conn)
  local spool = conn.ctx.spool
  if spool then spool.handle:close() end -- nil: refused before it was connected
end

return M
