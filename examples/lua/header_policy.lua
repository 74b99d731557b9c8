-- Headers that responses must and must not have, for a listener with protocol = "http".
--
--   [filter.config]
--   remove = ["Server", "X-Powered-By"]
--   set    = { "X-Content-Type-Options" = "nosniff" }
--   hosts  = ["example.com"]        # others are answered with 421; none: all are served

local fwx = require "fwx"
local M = {}

local remove, set, hosts

function M.on_init(config)
  remove, set = config.remove or {}, config.set or {}
  if config.hosts then
    hosts = {}
    for _, host in ipairs(config.hosts) do hosts[host:lower()] = true end
  end
end

function M.on_request(_, req)
  if hosts and not hosts[req.host] then
    return fwx.respond(421, {["Content-Type"] = "text/plain"}, "this host is not served here\n")
  end
end

function M.on_response(_, _, res)
  for _, name in ipairs(remove) do res.headers:remove(name) end
  for name, value in pairs(set) do res.headers:set(name, value) end
end

return M
