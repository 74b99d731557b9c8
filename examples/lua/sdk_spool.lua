-- spool.lua in the shape of the filter SDK: operations are started on the completion
-- port, and a function is notified when one has ended. Nothing waits here: chunks go
-- on at once, and are written one after the other behind the connection's back.
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

-- write starts to write what is first in the queue.
local function write(spool)
  local data = table.remove(spool.queue, 1)
  if not data then
    spool.busy = false
    return
  end
  spool.busy = true
  local ov = spool.overlapped:get_overlapped { offset = spool.offset }
  local ok, err = spool.handle:write_file(ov, data)
  if not ok then fwx.log.error("a write was not started", { path = spool.path, error = err }) end
end

-- written is notified of the end of each write (IFWXExternalIOCompletion).
local function written(success, bytes, err, overlapped, spool)
  if not success then
    fwx.log.error("a write has failed", { path = spool.path, error = err })
  end
  spool.offset = spool.offset + bytes
  write(spool)
end

function M.on_connect(conn)
  local spool = { path = dir .. "/" .. conn.id .. ".bin", offset = 0, queue = {} }
  spool.handle = assert(fwx.firewall:hook_to_completion_port(spool.path, "w"))
  spool.overlapped = fwx.firewall:create_overlapped()
  assert(spool.overlapped:set_notification_interface(written, spool))
  conn.ctx.spool = spool
end

function M.on_data(conn, chunk, direction)
  if direction ~= "upstream" then return end
  local spool = conn.ctx.spool
  -- A chunk is valid in this handler only, so the queue keeps a copy.
  spool.queue[#spool.queue + 1] = tostring(chunk)
  if not spool.busy then write(spool) end
end

function M.on_close(conn)
  local spool = conn.ctx.spool
  if not spool then return end -- refused before it was connected
  while spool.busy do fwx.sleep(0.01) end -- until the last write has ended
  spool.handle:close()
end

return M
