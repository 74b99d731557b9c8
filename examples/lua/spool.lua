-- Keeps a copy of what clients send. Each chunk goes on to the server only when it
-- has been written: the handler waits in f:write, and meanwhile its direction of the
-- connection is held. The other direction, and all other connections, go on.
--
--   [[filter]]
--   name   = "spool"
--   kind   = "lua"
--   script = "examples/lua/spool.lua"
--   [filter.allow]
--   write = ["var/"]
--   [filter.config]
--   dir  = "var/spool"
--   keep = true            # false: remove the copy when the connection has ended

local fwx = require "fwx"
local M = {}

local dir, keep

function M.on_init(config)
  dir, keep = config.dir or "var/spool", config.keep ~= false
  assert(fwx.file.mkdir(dir))
end

function M.on_connect(conn)
  local ctx = conn.ctx -- a table of our own that lasts as long as the connection
  -- Connections are numbered from 1 at each start, so the time goes into the name.
  ctx.path = dir .. os.date("!/%Y%m%dT%H%M%SZ-") .. conn.id .. ".bin"
  ctx.file = assert(fwx.file.open(ctx.path, "w"))
  ctx.offset = 0
end

function M.on_data(conn, chunk, direction)
  if direction ~= "upstream" then return end
  local ctx = conn.ctx
  ctx.offset = ctx.offset + assert(ctx.file:write(ctx.offset, chunk))
end

function M.on_close(conn)
  local ctx = conn.ctx
  if not ctx.file then return end -- refused before it was connected
  ctx.file:close()
  if not keep then assert(fwx.file.remove(ctx.path)) end
end

return M
