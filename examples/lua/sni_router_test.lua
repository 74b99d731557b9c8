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

-- hello returns what a client begins with that offers these cipher suites: made by hand, so that its
-- fingerprint stays what it is.
local function hello(name, ...)
  local function number(bytes, n)
    local text = ""
    for _ = 1, bytes do text, n = string.char(n % 256) .. text, math.floor(n / 256) end
    return text
  end
  local function sized(bytes, text) return number(bytes, #text) .. text end
  local function extension(kind, text) return number(2, kind) .. sized(2, text) end
  local suites = ""
  for _, suite in ipairs { ... } do suites = suites .. number(2, suite) end
  local extensions = extension(0, sized(2, "\0" .. sized(2, name))) -- its name
    .. extension(10, sized(2, number(2, 29))) -- x25519
    .. extension(13, sized(2, number(2, 0x0403))) -- ecdsa_secp256r1_sha256
    .. extension(43, sized(1, number(2, 0x0304))) -- TLS 1.3
  local body = number(2, 0x0303) .. ("r"):rep(32) .. sized(1, "") -- without a session
    .. sized(2, suites) .. sized(1, "\0") .. sized(2, extensions)
  return "\22\3\1" .. sized(2, "\1" .. sized(3, body))
end

function T.blocked_fingerprints_are_refused(t)
  local blocked = "t13d020400_62ed6f6ca7ad_9a0586ea5dd0"
  local server = t:server("192.0.2.80:443") -- without TLS: it has the hello as it was sent
  t:start { config = { blocked = { blocked } }, tls = "passthrough", server = "192.0.2.80:443" }
  for _, name in ipairs { "other.example", "app.example" } do -- whatever the name
    local conn = t:connect()
    conn:send(hello(name, 0x1301, 0x1302))
    t:equal({ conn.verdict, conn.reason }, { "deny", "its fingerprint is blocked: " .. blocked })
  end
  t:equal(server.count, 0)

  local other = hello("other.example", 0x1301, 0x1303)
  local conn = t:connect()
  conn:send(other)
  t:equal(conn.verdict, "pass")
  t:equal(server:accept():receive(), other)
end

return T
