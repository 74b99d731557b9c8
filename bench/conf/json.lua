-- JSON in Lua alone, as libraries have it that run everywhere.
local json = {}

local named = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }
local words = { ["true"] = true, ["false"] = false }

local value -- reads what begins at a place; returns it and the place after it

local function skip(text, at) return text:find("[^ \n\r\t]", at) end

local function unescaped(escape)
  local code = escape:match("^u(%x%x%x%x)")
  if code then return string.char(tonumber(code, 16)) end -- the texts here have no others
  return named[escape]
end

local function text(source, at)
  local last = at
  repeat
    last = source:find('["\\]', last + 1)
    local isEscape = source:byte(last) == 92
    if isEscape then last = last + 1 end
  until not isEscape
  local inside = source:sub(at + 1, last - 1)
  if inside:find("\\", 1, true) then inside = inside:gsub("\\(u?%x?%x?%x?%x?.?)", unescaped) end
  return inside, last + 1
end

local function array(source, at)
  local list, n = {}, 0
  at = skip(source, at + 1)
  if source:byte(at) == 93 then return list, at + 1 end
  while true do
    n = n + 1
    list[n], at = value(source, at)
    at = skip(source, at)
    if source:byte(at) == 93 then return list, at + 1 end
    at = skip(source, at + 1)
  end
end

local function object(source, at)
  local fields = {}
  at = skip(source, at + 1)
  if source:byte(at) == 125 then return fields, at + 1 end
  while true do
    local name
    name, at = text(source, at)
    at = skip(source, at)
    fields[name], at = value(source, skip(source, at + 1))
    at = skip(source, at)
    if source:byte(at) == 125 then return fields, at + 1 end
    at = skip(source, at + 1)
  end
end

function value(source, at)
  local c = source:byte(at)
  if c == 34 then return text(source, at) end
  if c == 123 then return object(source, at) end
  if c == 91 then return array(source, at) end
  local word = source:match("^[%w.+-]+", at)
  if not word then error("no value at " .. at) end
  if words[word] ~= nil then return words[word], at + #word end
  return tonumber(word), at + #word
end

function json.decode(source) return (value(source, skip(source, 1))) end

local escapes = {
  ["\""] = "\\\"", ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t",
}

local function escaped(c) return escapes[c] or string.format("\\u%04x", c:byte()) end

local function quoted(s) return '"' .. s:gsub('[%c"\\]', escaped) .. '"' end

local function write(v, out)
  local kind = type(v)
  if kind == "string" then
    out[#out + 1] = quoted(v)
  elseif kind == "table" and (v[1] ~= nil or next(v) == nil) then
    out[#out + 1] = "["
    for i = 1, #v do
      if i > 1 then out[#out + 1] = "," end
      write(v[i], out)
    end
    out[#out + 1] = "]"
  elseif kind == "table" then
    local mark = "{"
    for name, field in pairs(v) do
      out[#out + 1] = mark
      out[#out + 1] = quoted(name)
      out[#out + 1] = ":"
      write(field, out)
      mark = ","
    end
    out[#out + 1] = "}"
  elseif kind == "number" then
    out[#out + 1] = string.format("%.14g", v)
  else
    out[#out + 1] = tostring(v)
  end
end

function json.encode(v)
  local out = {}
  write(v, out)
  return table.concat(out)
end

return json
