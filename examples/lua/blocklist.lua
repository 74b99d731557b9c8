-- Refuses clients whose address is in a file. The file is read without holding up
-- any connection, watched, and read again when it has changed.
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

local blocked -- a set of addresses and networks

-- parse returns the entries of a list, and reports the lines that are none.
local function parse(path, text)
  local entries, number = {}, 0
  for line in (text .. "\n"):gmatch("(.-)\r?\n") do
    number = number + 1
    local entry = line:gsub("#.*", ""):match("^%s*(.-)%s*$")
    if entry ~= "" then
      local address, err = fwx.ip.parse(entry)
      if address then
        entries[#entries + 1] = address
      else
        fwx.log.warn("bad line in the blocklist", { path = path, line = number, error = err })
      end
    end
  end
  return entries
end

-- reload reads the list. It returns nil and a message if that fails.
local function reload(path)
  local text, err = fwx.file.read(path)
  if not text then return nil, err end
  local entries = parse(path, text)
  blocked = assert(fwx.ip.set(entries))
  fwx.log.info("blocklist loaded", { path = path, entries = #entries })
  return true
end

function M.on_init(config)
  local path = config.path or "examples/lua/blocked.txt"
  assert(reload(path)) -- without its list the gateway does not start
  assert(fwx.file.watch(path, function()
    local ok, err = reload(path)
    if not ok then -- keep the list that we have
      fwx.log.error("the blocklist was not reloaded", { path = path, error = err })
    end
  end))
end

function M.on_connect(conn)
  if blocked:contains(conn.client) then
    return fwx.deny("client " .. conn.client .. " is on the blocklist")
  end
end

return M
