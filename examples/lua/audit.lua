-- Writes a line of JSON for every connection when it has ended.
--
--   [[filter]]
--   name   = "audit"
--   kind   = "lua"
--   script = "examples/lua/audit.lua"
--   [filter.allow]
--   write = ["var/"]
--   [filter.config]
--   path = "var/audit.jsonl"

local fwx = require "fwx"
local M = {}

local log

function M.on_init(config)
  -- Opened here, the file stays open as long as the filter runs.
  log = assert(fwx.file.open(config.path or "var/audit.jsonl", "a"))
end

function M.on_close(conn)
  local record = {
    time = os.date("!%Y-%m-%dT%H:%M:%SZ"),
    id = conn.id,
    client = conn.client,
    listener = conn.listener,
    upstream = conn.upstream,
    server = conn.server,
    bytes_up = conn.bytes_up,
    bytes_down = conn.bytes_down,
    duration = conn.duration,
    verdict = conn.verdict,
    reason = conn.reason,
  }
  -- append keeps the lines of all connections whole. It comes back at once, unless
  -- the disk cannot keep up: then this connection's end waits, and nobody else.
  local ok, err = log:append(fwx.json.encode(record) .. "\n")
  if not ok then error("the connection was not recorded: " .. err) end
end

return M
