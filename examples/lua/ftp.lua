-- Lets the data connections of FTP through: the gateway waits for each at an address
-- of its own, which it puts in place of the one that the server (PASV, EPSV) or the
-- client (PORT, EPRT) announces.
--
-- Commands that would be encrypted cannot be read, so AUTH is refused.
--
--   [[filter]]
--   name   = "ftp"
--   kind   = "lua"
--   script = "examples/lua/ftp.lua"
--   [filter.allow]
--   expect = true

local fwx = require "fwx"
local M = {}

local MAX_LINE = 4096

-- who announces an address with what, and what the other side is told instead
local announcements = {
  downstream = {
    { "^227 .-%(%d+,%d+,%d+,%d+,(%d+),(%d+)%)", "227 Entering Passive Mode (%s)\r\n" },
    { "^229 .-%(|||(%d+)|%)", "229 Entering Extended Passive Mode (|||%d|)\r\n" },
  },
  upstream = {
    { "^[Pp][Oo][Rr][Tt] %d+,%d+,%d+,%d+,(%d+),(%d+)", "PORT %s\r\n" },
    { "^[Ee][Pp][Rr][Tt] |%d|[%x.:]+|(%d+)|", "EPRT |%d|%s|%d|\r\n" },
  },
}

-- tell writes an address as one of the forms above does.
local function tell(form, address, port)
  if form:find("|||", 1, true) then
    return form:format(port)
  elseif form:find("|", 1, true) then
    return form:format(address:find(":", 1, true) and 2 or 1, address, port)
  end
  return form:format(("%s,%d,%d"):format(address:gsub("%.", ","), math.floor(port / 256), port % 256))
end

local function rewrite(conn, direction, line)
  if direction == "upstream" and line:upper():match("^AUTH ") then
    conn:send("downstream", "534 not through this gateway\r\n")
    return ""
  end
  for _, a in ipairs(announcements[direction]) do
    local high, low = line:match(a[1])
    if high then
      -- Who is told the address is who connects. Only the port is taken from the
      -- line: a data connection goes to the other end of the control connection.
      local from = direction == "downstream" and "client" or "server"
      local port = low and high * 256 + low or tonumber(high)
      local expected = assert(conn:expect { from = from, port = port })
      return tell(a[2], expected.address, expected.port)
    end
  end
end

-- on_data reads whole lines; what there is of the next one is kept.
function M.on_data(conn, chunk, direction)
  local text = (conn.ctx[direction] or "") .. chunk
  local lines, rest = text:match("^(.*\n)([^\n]*)$")
  conn.ctx[direction] = rest or text
  if #conn.ctx[direction] > MAX_LINE then return fwx.deny("FTP: a line that is too long") end
  if not lines then return fwx.drop end
  return (lines:gsub("[^\n]*\n", function(line) return rewrite(conn, direction, line) end))
end

return M
