-- Does the work of the case for each request by the host's JSON, and adds a header with what it came to.
local fwx = require "fwx"
local work = require "{{work}}"
local M = {}

function M.on_request(_, req)
  req.headers:add("X-Result", work(fwx.json))
end

return M
