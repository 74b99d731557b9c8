-- Lets only some commands of SMTP through to a mail server. The stream is cut into
-- lines, so it does not matter in which pieces they come.
--
--   [[filter]]
--   name   = "smtp_guard"
--   kind   = "lua"
--   script = "examples/lua/smtp_guard.lua"
--   [filter.config]
--   commands = ["EHLO", "HELO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT"]
--
-- STARTTLS is not among them, because nothing could be read behind it, nor is BDAT,
-- whose data is not in lines.

local fwx = require "fwx"
local M = {}

local allowed = {}

function M.on_init(config)
  for _, command in ipairs(config.commands or { "EHLO", "HELO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT" }) do
    allowed[command:upper()] = true
  end
end

-- from_client returns what is sent instead of a line of the client, or nil.
local function from_client(conn, line)
  local ctx = conn.ctx
  if ctx.mail then -- the text of a mail, up to a line with a dot
    ctx.mail = line ~= "."
    return nil
  end
  local command = (line:match("^%a+") or ""):upper()
  ctx.data = command == "DATA"
  if allowed[command] then return nil end
  fwx.log.warn("command refused", { client = conn.client, command = command })
  return "REFUSED" -- no command, so the server says that, in its turn
end

-- from_server looks for the answer that lets the text of a mail begin.
local function from_server(conn, line)
  local ctx = conn.ctx
  if ctx.data and line:find("^354") then
    ctx.data, ctx.mail = false, true
  end
end

M.on_data = fwx.frame.lines({ max = 4096 }, function(conn, line, direction, complete)
  if direction == "downstream" then return from_server(conn, line) end
  if not complete and not conn.ctx.mail then return fwx.drop end -- half a command, and no more to come
  return from_client(conn, line)
end)

return M
