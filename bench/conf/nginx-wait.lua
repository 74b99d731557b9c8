-- Reads a file for requests that ask for it. While the file's storage hangs, so does the
-- process.
return {
  request = function()
    local name = ngx.var.uri:match("^/(wait%d+)")
    if not name then return end
    local file = io.open("{{.Dir}}/" .. name)
    local answer = file and file:read(1)
    if file then file:close() end
    if not answer then return ngx.exit(500) end
  end,
}
