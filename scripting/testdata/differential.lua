-- Calls the string library with many arguments and returns the results as text.
-- The test runs it here and with the lua5.1 program, and compares.

local out = {}

local function show(v)
  if type(v) == "number" then return string.format("%.14g", v) end
  if type(v) == "string" then return '"' .. v:gsub("%c", function(c) return "\\" .. c:byte() end) .. '"' end
  return type(v) == "function" and "function" or tostring(v)
end

local function try(name, f, ...)
  local results = { pcall(f, ...) }
  local ok = table.remove(results, 1)
  local line = { name }
  for i = 1, select("#", ...) do line[#line + 1] = show((select(i, ...))) end
  line[#line + 1] = ok and "->" or "error"
  if ok then
    for i = 1, 8 do
      if results[i] ~= nil then line[#line + 1] = show(results[i]) end
    end
  end
  out[#out + 1] = table.concat(line, " ")
end

-- The same random numbers everywhere.
local seed = 42
local function random(n)
  seed = (seed * 16807) % 2147483647
  return seed % n + 1
end

local items = {
  "a", "b", ".", "%a", "%d", "%s", "%w", "%A", "%W", "%p", "%x", "%u", "%l", "[ab]", "[^ab]", "[a-c]", "[%w_]", "[]]", "[^]]",
  "[%a-z]", "[a-]", "[-a]", "%.", "%%", "%(", "x", "-", "=", " ", "%z",
}
local repeats = { "", "", "", "*", "+", "-", "?" }
local wraps = { "%s", "%s", "%s", "(%s)", "()%s", "%s()" }
local subjects = {
  "", "a", "b", "ab", "aabb", "abcabc", "hello world", "key = value", "x=1, y=2", "  trim me  ", "THE (quick) fox", "a.b.c",
  "f(a(b)c)d", "1234", "a]b", "100%", "--", "A_b9", "aaa\nbbb", "-1.5e3", "foo(bar)", "\195\169t\195\169", "tab\there",
}

local function pattern()
  local parts = {}
  for i = 1, random(4) do
    parts[i] = (wraps[random(#wraps)]:gsub("%%s", function() return items[random(#items)] .. repeats[random(#repeats)] end))
  end
  local p = table.concat(parts)
  if random(5) == 1 then p = "^" .. p end
  if random(5) == 1 then p = p .. "$" end
  if random(12) == 1 then p = p .. "%b()" end
  if random(12) == 1 then p = "%f[%a]" .. p end
  if random(12) == 1 then p = p .. "%1" end
  return p
end

local replacements = { "", "<%0>", "<%1>", "%%", "x" }

for _ = 1, 3000 do
  local s, p = subjects[random(#subjects)], pattern()
  try("find", string.find, s, p, random(6) - 3)
  try("match", string.match, s, p)
  try("gsub", string.gsub, s, p, replacements[random(#replacements)], random(3) == 1 and random(3) or nil)
  try("gsub function", string.gsub, s, p, function(a, b) return a and b and a .. b or nil end)
  if p:sub(1, 1) ~= "^" then
    try("gmatch", function()
      local all = {}
      for a, b in s:gmatch(p) do all[#all + 1] = tostring(a) .. "/" .. tostring(b) end
      return table.concat(all, ";")
    end)
  end
end

for _, p in ipairs { "[", "[a", "[^", "%", "a%", "(", "(a", "a)", "%1", "(a)%2", "%b", "%bx", "%f", "%fa", "[%", "[a-", "[]", "*", "+a", "^*", "$a", "a$b", "^" } do
  for _, s in ipairs { "", "a", "*", "a$b", "aa" } do
    try("find", string.find, s, p)
    try("match", string.match, s, p)
    try("gsub", string.gsub, s, p, "x")
  end
end

local formats = {
  "%d", "%5d", "%-5d|", "%05d", "%+d", "% d", "%i", "%u", "%x", "%X", "%#x", "%o", "%c", "%e", "%.3e", "%E", "%f", "%.0f", "%10.3f", "%-10.2f|",
  "%+.1f", "%g", "%.3g", "%G", "%s", "%10s", "%-10s|", "%.2s", "%%", "%q", "%5.1s|", "%03d", "%#o", "%.10g", "%.14g",
}
local numbers = { 0, 1, -1, 42, 255, 3.14159, -2.5, 1e10, 1e100, 123456789, 0.1, 1e-5, 100000, 1000000, 65 }
for _, f in ipairs(formats) do
  for _, n in ipairs(numbers) do
    if not (f == "%c" and (n < 1 or n > 127)) and not (f:find("[uxXo]") and (n < 0 or n > 1e15)) and not (f:find("[dic]") and math.abs(n) > 1e15) then
      try("format", string.format, f, n)
    end
  end
end

for _, s in ipairs(subjects) do
  for i = -3, 3 do
    for j = -3, 3 do try("sub", string.sub, s, i, j) end
    try("rep", string.rep, s, i)
  end
  try("upper", string.upper, s)
  try("lower", string.lower, s)
  try("reverse", string.reverse, s)
end

for i = -1, 4 do
  for j = -1, 4 do try("concat", function() return table.concat({ 1, 2, "c" }, ", ", i, j) end) end
end

return table.concat(out, "\n")
