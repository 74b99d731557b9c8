-- Refuses clients by their address and notes them in a file. guard_test.lua tests it.

local fwx = require "fwx"

---@type fwx.handlers
local M = {}

local refused = {} -- by address
local log

function M.on_init(config)
  for _, address in ipairs(config.refuse or {}) do
    refused[address] = true
  end
  log = assert(fwx.file.open(config.log or "var/refused.log", "a"))
end

function M.on_request(conn, req)
  if refused[conn.client] then
    assert(log:append(os.date("!%Y-%m-%d %H:%M:%S ") .. conn.client .. " " .. req.target .. "\n"))
    return fwx.respond(403, { ["Content-Type"] = "text/plain" }, "you are refused\n")
  end
end

return M
