-- Replaces a word wherever it stands in the bodies of answers.
local Body = {}
Body.__index = Body
Body.flags = filter.FLT_CFG_FL_HTX -- without it a filter is left out in mode http

function Body:new() return setmetatable({}, Body) end

function Body:start_analyze(txn, channel)
  if channel:is_resp() then filter.register_data_filter(self, channel) end
end

function Body:http_payload(txn, message)
  local data = message:body()
  if data and #data > 0 then message:set((data:gsub("fox", "cat"))) end
end

core.register_filter("bench", Body, function(body) return body end)
