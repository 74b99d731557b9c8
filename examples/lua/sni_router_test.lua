-- Tests of sni_router.lua: fwx test examples/lua/sni_router_test.lua
local T = {}

-- The servers speak TLS themselves: what they receive, they have decrypted.
local upstreams = { app = "10.0.0.1:443", shop = "10.0.0.2:443" }

local function start(t, change)
  local config = {
    routes = { ["app.example"] = "app", ["*.shop.example"] = "shop" }, terminate = { "admin.example" },
  }
  for name, value in pairs(change or {}) do config[name] = value end
  local servers = { site = t:server("tls://192.0.2.80:443") }
  for name, address in pairs(upstreams) do servers[name] = t:server("tls://" .. address) end
  t:start { config = config, tls = "passthrough", server = "192.0.2.80:443", upstreams = upstreams }
  return servers
end

local function connect(t, name)
  local conn = t:connect { tls = { sni = name, alpn = { "h2", "http/1.1" } } }
  conn:send("hello")
  return conn
end

-- Which names go where, exact ones before patterns.
local names = {
  ["app.example"] = "app", ["de.shop.example"] = "shop", ["a.b.shop.example"] = "shop",
  ["shop.example"] = "site", ["other.example"] = "site",
}

for name, upstream in pairs(names) do
  T[name .. " goes to " .. upstream] = function(t)
    local servers = start(t)
    local conn = connect(t, name)
    local server = servers[upstream]:accept()
    t:equal(server:receive(), "hello")
    server:send("hello from " .. upstream)
    t:equal(conn:receive(), "hello from " .. upstream)
  end
end

function T.clients_that_name_no_server_go_to_the_site(t)
  local servers = start(t)
  connect(t, nil)
  t:equal(servers.site:accept():receive(), "hello")
end

function T.unknown_names_may_be_refused(t)
  start(t, { refuse_unknown = true })
  t:equal(connect(t, "other.example").reason, "there is no route for other.example")
  t:equal(connect(t, nil).reason, "there is no route for a client that names no server")
end

function T.some_names_are_decrypted_here(t)
  local server = t:server("192.0.2.80:443") -- without TLS
  t:start { config = { terminate = { "admin.example" } }, tls = "passthrough", server = "192.0.2.80:443" }
  connect(t, "admin.example")
  t:equal(server:accept():receive(), "hello")
end

return T
