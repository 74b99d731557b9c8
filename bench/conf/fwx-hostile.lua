-- What careless scripts do, for requests that ask for it, and handlers that messages and
-- coded bodies have to pass.
local fwx = require "fwx"

local objects = "[" .. ("{},"):rep(350000) .. "{}]"

-- shared is a table whose encoding is 2^60 times as long as itself.
local shared = {}
for _ = 1, 60 do shared = { shared, shared } end

local function nest() coroutine.wrap(nest)() end

local function spin()
  local sum = 0
  for i = 1, 1000000 do sum = sum + i end
  return sum
end

local jobs = {
  ["/decode"] = function() fwx.json.decode(objects) end,
  ["/encode"] = function() fwx.json.encode(shared) end,
  ["/nested"] = nest,
  ["/timers"] = function()
    for _ = 1, 20 do fwx.after(0.1, spin) end
  end,
}

return {
  on_request = function(_, req)
    local job = jobs[req.path]
    if job then job() end
    if req.method == "POST" then req:decode_body() end
  end,
  on_request_body = function() end,
  on_message = function() end,
}
