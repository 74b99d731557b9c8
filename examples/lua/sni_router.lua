-- Sends TLS connections to an upstream by the name that the client asks for, without
-- decrypting them, and turns clients away whose fingerprint is on a list.
--
--   [[listener]]
--   name     = "tls"
--   listen   = "0.0.0.0:443"
--   upstream = "site"                        # for names that have no route
--   filters  = ["sni_router"]
--   [listener.tls]
--   mode = "passthrough"
--
--   [[filter]]
--   name   = "sni_router"
--   kind   = "lua"
--   script = "examples/lua/sni_router.lua"
--   [filter.config]
--   routes = { "app.example" = "app", "*.shop.example" = "shop" }
--   terminate = ["admin.example"]            # decrypted here; wants certificates on the listener
--   refuse_unknown = false                   # names without a route, and clients that name none
--   blocked = []                             # JA4 fingerprints

local fwx = require "fwx"
local M = {}

local routes, terminate, blocked, refuse_unknown = {}, {}, {}, false

local function set(list)
  local s = {}
  for _, value in ipairs(list or {}) do s[value] = true end
  return s
end

function M.on_init(config)
  routes = config.routes or {}
  terminate, blocked = set(config.terminate), set(config.blocked)
  refuse_unknown = config.refuse_unknown or false
end

-- route returns the upstream of a name: its own, or that of the nearest "*.domain".
local function route(name)
  if not name then return nil end
  if routes[name] then return routes[name] end
  local _, dot = name:find(".", 1, true)
  while dot do
    local upstream = routes["*" .. name:sub(dot)]
    if upstream then return upstream end
    _, dot = name:find(".", dot + 1, true)
  end
  return nil
end

function M.on_client_hello(conn, hello)
  if blocked[hello.fingerprint] then
    return fwx.deny("its fingerprint is blocked: " .. hello.fingerprint)
  end
  local upstream = route(hello.sni)
  if not upstream and refuse_unknown then
    return fwx.deny("there is no route for " .. (hello.sni or "a client that names no server"))
  end
  if upstream then assert(conn:set_upstream(upstream)) end
  if hello.sni and terminate[hello.sni] then assert(conn:set_tls_mode("terminate")) end
end

return M
