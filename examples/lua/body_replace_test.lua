-- Tests of body_replace.lua: fwx test examples/lua/body_replace_test.lua
local T = {}

local site = "192.0.2.80:80"

local function start(t, body, headers)
  local server = t:http(site, { headers = headers or { ["Content-Type"] = "text/html", ETag = '"1"' }, body = body })
  t:start { protocol = "http", config = { find = "needle", replace = "thread" } }
  return server
end

function T.replaces_in_a_chunk(t)
  start(t, "a needle, and needles")
  local x = t:request()
  t:equal({ x.status, x.body, x.complete }, { 200, "a thread, and threads", true })
  t:equal(x.headers.etag, nil)
end

-- Each way to cut "one needle, neeneedle, need" in two, and a byte at a time.
local text, want = "one needle, neeneedle, need", "one thread, neethread, need"
for i = 1, #text - 1 do
  T["cut at " .. i] = function(t)
    start(t, { text:sub(1, i), text:sub(i + 1) })
    t:equal(t:request().body, want)
  end
end

function T.a_byte_at_a_time(t)
  local bytes = {}
  for i = 1, #text do bytes[i] = text:sub(i, i) end
  start(t, bytes)
  t:equal(t:request().body, want)
end

function T.keeps_back_no_more_than_a_needle(t)
  start(t, { "a long text without one", 1, " and its end" })
  local x = t:request()
  t:equal(x.body, "a long text withou")
  t:advance(1)
  t:equal(x.body, "a long text without one and its end")
end

function T.other_types_are_left_alone(t)
  start(t, "a needle", { ["Content-Type"] = "image/png" })
  t:equal(t:request().body, "a needle")
end

function T.asks_for_what_can_be_looked_at(t)
  local server = start(t, "text")
  t:request { headers = { ["Accept-Encoding"] = "gzip", Range = "bytes=3-" } }
  t:equal({ server.requests[1].headers["accept-encoding"], server.requests[1].headers.range }, {})
end

function T.the_next_response_begins_anew(t)
  start(t, "need")
  local conn = t:connect()
  t:equal(conn:request().body, "need")
  t:equal(conn:request().body, "need")
end

function T.wants_something_to_find(t)
  t:error(function() t:start { protocol = "http", config = { find = "" } } end, "config.find is empty")
end

return T
