-- Replaces a word in answers.
local Rewrite = {}
Rewrite.__index = Rewrite

function Rewrite:new() return setmetatable({}, Rewrite) end

function Rewrite:start_analyze(txn, channel)
  if channel:is_resp() then filter.register_data_filter(self, channel) end
end

function Rewrite:tcp_payload(txn, channel)
  if channel:input() == 0 then return end
  local data = channel:data(0)
  channel:set((string.gsub(data, "fox", "cat")), 0, #data)
end

core.register_filter("bench", Rewrite, function(rewrite) return rewrite end)
