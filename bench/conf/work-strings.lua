-- Reads a query, brings its names into one form and writes a line of a log of it.
local query = "Name=J%C3%BCrgen+M%C3%BCller&City=K%C3%B6ln&page=17&SORT=date%2Cname&q=lua+fast%3F&session=7f3a9c&lang=de&empty="

local function unescape(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

return function()
  local fields, length = {}, 0
  for name, value in query:gmatch("([^&=]+)=([^&]*)") do
    local plain = unescape(value)
    length = length + #plain
    fields[#fields + 1] = string.format("%s=%q (%d)", name:lower(), plain, #plain)
  end
  table.sort(fields)
  local line = "client=" .. "10.1.2.3" .. " fields=" .. #fields .. " " .. table.concat(fields, "; ")
  return line:upper():sub(1, 20) .. tostring(length) .. ("-"):rep(10)
end
