-- Writes the first line of each request to a file. The C library collects what is written
-- and blocks the thread when it writes that to the file.
local file = assert(io.open("{{.Dir}}/requests.log", "a"))

local Log = {}
Log.__index = Log

function Log:new() return setmetatable({}, Log) end

function Log:start_analyze(txn, channel)
  if not channel:is_resp() then filter.register_data_filter(self, channel) end
end

function Log:tcp_payload(txn, channel)
  if channel:input() == 0 then return end
  file:write(string.match(channel:data(0), "^[^\r\n]*"), "\n")
end

core.register_filter("bench", Log, function(log) return log end)
