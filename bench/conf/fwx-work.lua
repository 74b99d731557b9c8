-- Does the work of the case for each request, and adds a header with what it came to.
local work, json = require "{{work}}", require "json"
local M = {}

function M.on_request(_, req)
  req.headers:add("X-Result", work(json))
end

return M
