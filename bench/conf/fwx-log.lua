-- Writes the first line of each request to a file.
local fwx = require "fwx"
local file

return {
  on_init = function()
    file = assert(fwx.file.open("requests.log", "a"))
  end,
  on_data = function(conn, chunk, direction)
    if direction == "upstream" then
      assert(file:append(tostring(chunk):match("^[^\r\n]*") .. "\n"))
    end
  end,
}
