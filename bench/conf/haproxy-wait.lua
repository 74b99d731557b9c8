-- Reads a file for requests that ask for it. While the file's storage hangs, so does the
-- thread.
local Wait = {}
Wait.__index = Wait

function Wait:new() return setmetatable({}, Wait) end

function Wait:start_analyze(txn, channel)
  if not channel:is_resp() then filter.register_data_filter(self, channel) end
end

function Wait:tcp_payload(txn, channel)
  if channel:input() == 0 then return end
  local name = string.match(channel:data(0), "^GET /(wait%d+)")
  if not name then return end
  local file = io.open("{{.Dir}}/" .. name)
  local answer = file and file:read(1)
  if file then file:close() end
  if not answer then return filter.ERROR end
end

core.register_filter("bench", Wait, function(wait) return wait end)
