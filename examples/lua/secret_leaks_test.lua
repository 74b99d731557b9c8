-- Tests of secret_leaks.lua: fwx test examples/lua/secret_leaks_test.lua
local T = {}

local site = "192.0.2.80:80"

local function start(t, response, config)
  local server = t:http(site, response)
  t:start { protocol = "http", config = config or {} }
  return server
end

-- ask makes a request, and lets the script go on that lets others go on, too.
local function ask(t, options)
  local x = t:request(options)
  t:advance(0.1)
  return x
end

local function page(body) return { headers = { ["Content-Type"] = "text/html" }, body = body } end

-- Made for this test: none of them opens anything.
local secrets = {
  aws_access_key = "AKIAIOSFODNN7EXAMPLE",
  github_token = "ghp_" .. ("a1"):rep(18),
  json_web_token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlIGhlcmU",
  private_key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
  slack_token = "xoxb-1234567890-abcdef",
}

for name, secret in pairs(secrets) do
  T["blocks: " .. name] = function(t)
    start(t, page("before " .. secret .. " after"))
    local x = ask(t, { path = "/debug?key=" .. secret:gsub("%s", "+") })
    t:equal({ x.status, x.body }, { 502, "the response was refused\n" })
    local lines = t:logs()
    local line
    for _, l in ipairs(lines) do
      t:equal(l.text:find(secret:sub(1, 12), 1, true), nil, "the log has the secret")
      if l.message == "a secret in a response" then line = l end
    end
    t:equal({ line.pattern, line.count, line.path, line.action }, { name, 1, "/debug", "block" })
  end

  T["redacts: " .. name] = function(t)
    start(t, page { "before " .. secret:sub(1, 7), secret:sub(8) .. " after" }, { action = "redact" })
    local x = ask(t)
    t:equal({ x.status, x.body }, { 200, "before [redacted] after" })
  end
end

function T.a_key_without_its_end(t)
  start(t, page("a -----BEGIN PRIVATE KEY-----\nMIIE"), { action = "redact" })
  t:equal(ask(t).body, "a [redacted]")
end

function T.patterns_of_its_own(t)
  start(t, page("tok_12 AKIAIOSFODNN7EXAMPLE"), { action = "redact", patterns = { ours = "tok_\\d+" } })
  t:equal(ask(t).body, "[redacted] AKIAIOSFODNN7EXAMPLE")
end

function T.lets_the_rest_pass(t)
  start(t, page("AKIA is the beginning of a key"))
  t:equal(ask(t).body, "AKIA is the beginning of a key")
  t:equal(#t:logs("a secret"), 0)
end

function T.other_types_stream_by(t)
  start(t, { headers = { ["Content-Type"] = "image/png" }, body = { "AKIAIOSFODNN7EXAMPLE", 1, "x" } })
  t:equal(ask(t).body, "AKIAIOSFODNN7EXAMPLE")
end

function T.a_body_without_a_type_is_looked_at(t)
  start(t, "AKIAIOSFODNN7EXAMPLE")
  t:equal(ask(t).status, 502)
end

function T.what_is_too_long_is_refused(t)
  start(t, page(("x"):rep(101)), { limit = 100 })
  t:equal(ask(t).status, 502)
end

function T.what_is_cut_off_is_refused(t)
  start(t, { headers = { ["Content-Type"] = "text/html" }, body = { "half of it" }, cut = true })
  t:equal(t:request().status, 502)
end

function T.what_is_compressed_is_refused(t)
  local server = start(t, { headers = { ["Content-Encoding"] = "gzip" }, body = "\31\139" })
  t:equal(ask(t, { headers = { ["Accept-Encoding"] = "gzip" } }).status, 502)
  t:equal(server.requests[1].headers["accept-encoding"], nil)
end

function T.a_pattern_that_is_none(t)
  t:error(function() t:start { protocol = "http", config = { patterns = { bad = "(" } } } end, "missing closing")
end

return T
