-- Answers paths from files on disk, for a listener with protocol = "http". The files are
-- read by the completion port, as fast as the client takes them: one that is slow delays
-- nobody but who asks for it, and a large one takes no memory.
--
--   [filter.allow]
--   read = ["www/"]
--   [filter.config]
--   prefix = "/static/"             # /static/a.css is www/a.css
--   dir    = "www/"

local fwx = require "fwx"
local M = {}

local prefix, dir

local types = {
  css = "text/css", html = "text/html; charset=utf-8", js = "text/javascript", json = "application/json",
  png = "image/png", svg = "image/svg+xml", txt = "text/plain; charset=utf-8",
}

function M.on_init(config)
  prefix, dir = assert(config.prefix, "prefix is missing"), assert(config.dir, "dir is missing")
end

function M.on_request(_, req)
  local path = req.path
  if path:sub(1, #prefix) ~= prefix then return end
  if req.method ~= "GET" and req.method ~= "HEAD" then
    return fwx.respond(405, {Allow = "GET, HEAD"})
  end
  -- What leads out of the directory is refused by [filter.allow].
  local file, _, code = fwx.file.open(dir .. path:sub(#prefix + 1))
  if not file then
    return fwx.respond(code == "denied" and 403 or 404, nil, "no such file\n")
  end
  local kind = types[path:match("%.(%w+)$") or ""] or "application/octet-stream"
  return fwx.respond(200, {["Content-Type"] = kind}, file)
end

return M
