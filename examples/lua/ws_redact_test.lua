-- Tests of ws_redact.lua: fwx test examples/lua/ws_redact_test.lua
local T = {}

-- open returns both ends of a WebSocket through the gateway.
local function open(t, config)
  local server = t:http("192.0.2.80:80", {
    status = 101,
    headers = {
      Connection = "Upgrade", Upgrade = "websocket",
      ["Sec-WebSocket-Accept"] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    },
  })
  t:start { protocol = "http", config = config or {} }
  local x = t:request {
    path = "/chat",
    headers = {
      Connection = "Upgrade", Upgrade = "websocket",
      ["Sec-WebSocket-Version"] = "13", ["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ==",
    },
  }
  t:equal(x.status, 101)
  return x.conn, server:accept()
end

-- both sends a message from each end and returns what the other one has got.
local function both(conn, peer, data, kind)
  conn:send_message(data, kind)
  peer:send_message(data, kind)
  return peer:receive_message(), conn:receive_message()
end

local cases = {
  { "hello", "hello" },
  { "pay by 4111 1111 1111 1111, please", "pay by **** **** **** 1111, please" },
  { '{"card":"4111111111111111"}', '{"card":"************1111"}' },
  { "not valid: 4111 1111 1111 1112", "not valid: 4111 1111 1111 1112" },
  { "too long: 41111111111111114111111111111111", "too long: 41111111111111114111111111111111" },
  { "ask jane.doe+x@mail.example.com.", "ask ***@***." },
  { "a@b is no address; 5500-0000-0000-0004 is", "a@b is no address; ****-****-****-0004 is" },
}

function T.stars_out_in_both_directions(t)
  local conn, peer = open(t)
  for _, case in ipairs(cases) do
    local up, down = both(conn, peer, case[1])
    t:equal(up, case[2])
    t:equal(down, case[2])
  end
end

function T.leaves_cards_if_told_to(t)
  local conn, peer = open(t, { cards = false })
  t:equal((both(conn, peer, "4111111111111111 a@b.example")), "4111111111111111 ***@***")
end

function T.leaves_binary_messages(t)
  local conn, peer = open(t)
  t:equal((both(conn, peer, "\0004111111111111111", "binary")), "\0004111111111111111")
end

function T.closes_at_a_text_that_is_too_long(t)
  local conn, peer = open(t, { limit = 100 })
  conn:send_message(("x"):rep(101))
  for _, side in ipairs { conn, peer } do
    local _, kind, code = side:receive_message()
    t:equal(kind, "close")
    t:equal(code, 1008)
  end
end

return T
