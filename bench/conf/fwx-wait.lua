-- Reads a file for requests that ask for it. While the file's storage hangs, so does the
-- connection.
local fwx = require "fwx"

return {
  on_data = function(conn, chunk, direction)
    if direction ~= "upstream" then return end
    local name = tostring(chunk):match("^GET /(wait%d+)")
    if not name then return end
    local file = assert(fwx.file.open(name))
    assert(file:read(0, 1))
    file:close()
  end,
}
