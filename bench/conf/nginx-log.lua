-- Writes the first line of each request to a file. The C library collects what is written
-- and blocks the process when it writes that to the file.
local file = assert(io.open("{{.Dir}}/requests.log", "a"))

return {
  request = function()
    file:write(ngx.var.request, "\n")
  end,
}
