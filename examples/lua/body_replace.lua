-- Replaces a text in the bodies of responses as they stream by. A text that is split
-- between two chunks is found, too: the end of each chunk is kept back, as many bytes as
-- an occurrence without its last one, until the next chunk or the end has come. So a body
-- of any length takes a few bytes of memory.
--
--   [[listener]]
--   protocol = "http"
--   filters  = ["body_replace"]
--
--   [[filter]]
--   name   = "body_replace"
--   kind   = "lua"
--   script = "examples/lua/body_replace.lua"
--   [filter.config]
--   find    = "http://internal.example"
--   replace = "https://www.example"
--   types   = ["text/", "application/json"]     # how the Content-Type begins

local M = {}

local find, replace, types

function M.on_init(config)
  find, replace = assert(config.find, "body_replace: config.find is missing"), config.replace or ""
  assert(find ~= "", "body_replace: config.find is empty")
  types = config.types or { "text/", "application/json", "application/javascript" }
end

local function wanted(content_type)
  for _, beginning in ipairs(types) do
    if content_type:sub(1, #beginning) == beginning then return true end
  end
  return false
end

function M.on_request(_, req)
  req.headers:remove("Accept-Encoding") -- in what is compressed nothing can be found
  req.headers:remove("Range")           -- and a part may begin in the midst of it
end

function M.on_response(conn, _, res)
  -- What is kept, or nil for a body that is left alone. The requests of a connection
  -- come one after the other, so its ctx is that of the response that goes on now.
  conn.ctx.kept = wanted(res.headers:get("Content-Type") or "") and "" or nil
  if conn.ctx.kept then
    res.headers:remove("ETag") -- it is that of another text
    res.headers:remove("Accept-Ranges")
  end
end

-- swap returns the text up to behind the last occurrence, all of them replaced, and the
-- rest. `find` is no pattern, which is why this is not string.gsub.
local function swap(text)
  local parts, from = {}, 1
  local first, last = text:find(find, 1, true)
  while first do
    parts[#parts + 1] = text:sub(from, first - 1)
    parts[#parts + 1] = replace
    from = last + 1
    first, last = text:find(find, from, true)
  end
  return table.concat(parts), text:sub(from)
end

function M.on_response_body(conn, _, _, chunk)
  local ctx = conn.ctx
  if not ctx.kept then return end
  local done, rest = swap(ctx.kept .. chunk)
  if #chunk == 0 then return done .. rest end -- the end of the body
  local keep = math.min(#rest, #find - 1)
  ctx.kept = rest:sub(#rest - keep + 1)
  return done .. rest:sub(1, #rest - keep)
end

return M
