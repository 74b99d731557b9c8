-- Searches all data for a text that is not there.
local fwx = require "fwx"

return {
  on_data = function(conn, chunk, direction)
    if chunk:find("needle") then return fwx.deny("found") end
  end,
}
