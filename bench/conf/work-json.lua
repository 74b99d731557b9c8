-- Decodes a document of 4 KB, changes each of its entries and encodes it: by a library that is given, or by one in Lua alone.
local entries = {}
for i = 1, 26 do
  entries[i] = string.format('{"id": %d, "name": "User %d", "mail": "user%d@example.com", "active": %s, "score": %.1f, '
    .. '"tags": ["alpha", "beta\\n", "\\"%d\\""], "place": {"x": %d, "y": -%d}}',
    i, i, i, tostring(i % 2 == 0), i * 1.5 + 0.2, i, i * 100, i * 7)
end
local document = '{"version": 3, "entries": [' .. table.concat(entries, ", ") .. "]}"

return function(json)
  local read = json.decode(document)
  for _, entry in ipairs(read.entries) do
    entry.score = entry.score + 1
    entry.active = not entry.active
    entry.tags[#entry.tags + 1] = "seen"
  end
  return tostring(#json.encode(read))
end
