-- Searches all data for a text that is not there.
local Look = {}
Look.__index = Look

function Look:new() return setmetatable({}, Look) end

function Look:start_analyze(txn, channel) filter.register_data_filter(self, channel) end

function Look:tcp_payload(txn, channel)
  if channel:input() == 0 then return end
  local data = channel:data(0)
  if string.find(data, "needle", 1, true) then return filter.ERROR end
end

core.register_filter("bench", Look, function(look) return look end)
