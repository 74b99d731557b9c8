-- Reads one header of each request and adds one.
local M = {}

function M.on_request(_, req)
  req.headers:add("X-Seen", req.headers:get("host"))
end

return M
