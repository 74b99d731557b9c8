-- Looks at uploads before the server has any of them. A body waits until it is complete,
-- in memory if it is small and on the disk otherwise; then it goes on to the server, or is
-- answered with 403. The gateway takes the name of its file away as soon as it is open,
-- so nothing is left of it, however the request ends.
--
--   [[listener]]
--   protocol = "http"
--   filters  = ["upload_scan"]
--   [listener.http.spool]
--   dir      = "var/spool"
--   max_body = "100MiB"          # beyond, 413; without room on the disk, 503
--
--   [[filter]]
--   name   = "upload_scan"
--   kind   = "lua"
--   script = "examples/lua/upload_scan.lua"
--   [filter.config]
--   memory = 65536               # bytes; a longer body goes to the disk
--   texts  = ["EICAR-STANDARD-ANTIVIRUS-TEST-FILE"]   # that no upload may have in it

local fwx = require "fwx"
local M = {}

local memory, texts
local overlap = 0 -- how much of a text may be in one piece, without all of it
local piece = 256 * 1024 -- bytes that are looked at at a time

function M.on_init(config)
  memory = config.memory or 65536
  texts = config.texts or { "EICAR-STANDARD-ANTIVIRUS-TEST-FILE" }
  for _, text in ipairs(texts) do
    assert(text ~= "" and #text <= 4096, "upload_scan: a text has from 1 to 4096 bytes")
    overlap = math.max(overlap, #text - 1)
  end
end

function M.on_request(_, req)
  if (req.headers:get("Content-Encoding") or "identity") ~= "identity" then
    return fwx.respond(415, { ["Content-Type"] = "text/plain" }, "send it without compression\n")
  end
  req:whole_body(memory, "spool")
end

-- found returns the first of the texts that is in the body; nil: none is.
local function found(body)
  local offset = 0
  repeat
    local part = assert(body:read(offset, piece)) -- waits for the disk, if it is there
    for _, text in ipairs(texts) do
      if part:find(text, 1, true) then return text end
    end
    local last = offset + #part >= #body
    offset = offset + #part - overlap
  until last
  return nil
end

function M.on_request_body(conn, req, body)
  if #body == 0 then return end -- the end of one that was in memory
  local text = found(body)
  if not text then return end -- it goes on, from where it is
  fwx.log.warn("upload refused", { client = conn.client, id = req.id, bytes = #body, has = text })
  return fwx.respond(403, { ["Content-Type"] = "text/plain" }, "the upload was refused\n")
end

return M
