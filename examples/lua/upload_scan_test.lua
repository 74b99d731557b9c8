-- Tests of upload_scan.lua: fwx test examples/lua/upload_scan_test.lua
local T = {}

local bad = "EICAR-STANDARD-ANTIVIRUS-TEST-FILE"

local function start(t, config)
  local server = t:http("192.0.2.80:80", "thank you")
  t:start { protocol = "http", config = config or {} }
  return server
end

local function upload(t, body)
  return t:request { method = "POST", path = "/upload", body = body }
end

-- Bodies that stay in memory and that go to the disk, whole and in pieces.
local long = ("0123456789"):rep(100000)
local bodies = {
  ["a short one"] = { "hello", "hello" },
  ["a short one in chunks"] = { { "hel", "lo" }, "hello" },
  ["a long one"] = { long, long },
  ["a long one in chunks"] = { { long:sub(1, 300000), 1, long:sub(300001) }, long },
  ["none"] = { nil, "" },
}

for what, case in pairs(bodies) do
  T["goes on: " .. what] = function(t)
    local server = start(t)
    local x = upload(t, case[1])
    t:advance(2)
    t:equal({ x.status, x.body }, { 200, "thank you" })
    local got = server.requests[1]
    t:truthy(got.body == case[2], "it is not what was sent")
    t:equal(t:files(), {})
  end
end

-- Where the text is, which may be across the pieces that are looked at.
local places = { 0, 10, 65536, 256 * 1024 - 1, 256 * 1024 - #bad, 256 * 1024 - 5, 900000 }

for _, at in ipairs(places) do
  T["refused with the text at " .. at] = function(t)
    local server = start(t)
    local x = upload(t, { long:sub(1, at), bad, at > 65536 and long:sub(at + 1) or "" })
    t:equal({ x.status, x.body }, { 403, "the upload was refused\n" })
    t:equal(#server.requests, 0)
    t:equal(server.count, 0, "the server was connected")
    t:equal(t:logs("upload refused")[1].has, bad)
    t:equal(t:files(), {})
  end
end

function T.the_server_has_nothing_before_the_end(t)
  local server = start(t)
  local x = upload(t, { long, 5, "the end" })
  t:equal(server.count, 0)
  t:advance(5)
  t:equal(x.status, 200)
  t:equal(#server.requests[1].body, #long + 7)
end

function T.a_client_that_leaves(t)
  local server = start(t)
  upload(t, { long, 5, "the end" }).conn:reset()
  t:equal({ server.count, t:files() }, { 0, {} })
end

function T.the_disk_is_full(t)
  local server = start(t)
  t:fail("spool", "ENOSPC", "write")
  t:equal(upload(t, long).status, 503)
  t:equal({ server.count, t:files() }, { 0, {} })
  t:equal(upload(t, "hello").status, 200) -- it needs no disk
  t:mend("spool")
  t:equal(upload(t, long).status, 200)
  t:equal(#server.requests, 2)
end

function T.what_is_compressed_is_not_taken(t)
  local server = start(t)
  local x = t:request { method = "POST", headers = { ["Content-Encoding"] = "gzip" }, body = "\31\139" }
  t:equal({ x.status, #server.requests }, { 415, 0 })
end

function T.wants_texts(t)
  t:error(function() start(t, { texts = { "" } }) end, "from 1 to 4096 bytes")
end

return T
