-- Tests of ftp.lua: fwx test examples/lua/ftp_test.lua
local T = {}

local client, server = "198.51.100.7", "192.0.2.21"

local function connect(t)
  t:start { allow = { expect = true }, server = server .. ":21" }
  return t:connect { client = client }
end

-- passive has the server announce a port and returns what the client is told instead.
local function passive(t, conn, line)
  conn:send("PASV\r\n")
  t:equal(conn.server:receive(), "PASV\r\n")
  conn.server:send(line)
  return conn:receive()
end

local function port_of(line)
  local high, low = line:match(",(%d+),(%d+)%)")
  return high * 256 + low
end

function T.lets_a_passive_data_connection_through(t)
  local conn = connect(t)
  local data = t:server(server .. ":5001")
  local told = passive(t, conn, "227 Entering Passive Mode (192,0,2,21,19,137)\r\n")
  t:match(told, "^227 Entering Passive Mode %(192,0,2,1,%d+,%d+%)\r\n$", "the gateway's own address")

  local download = t:connect { client = client, to = "192.0.2.1:" .. port_of(told) }
  local far = data:accept()
  far:send("the file")
  t:equal(download:receive(), "the file")
  t:equal(download.verdict, "pass")
end

function T.lets_an_extended_passive_one_through(t)
  local conn = connect(t)
  local data = t:server(server .. ":5001")
  local told = passive(t, conn, "229 Entering Extended Passive Mode (|||5001|)\r\n")
  local port = told:match("^229 Entering Extended Passive Mode %(|||(%d+)|%)\r\n$")
  t:connect { client = client, to = "192.0.2.1:" .. port }
  t:equal(data.count, 1)
end

function T.lets_an_active_one_through(t)
  local conn = connect(t)
  local listening = t:server(client .. ":5002")
  conn:send("PORT 198,51,100,7,19,138\r\n")
  local told = conn.server:receive()
  local high, low = told:match("^PORT 192,0,2,1,(%d+),(%d+)\r\n$")
  t:truthy(high, told)
  local upload = t:connect { client = server, to = "192.0.2.1:" .. high * 256 + low }
  upload:send("from the server")
  t:equal(listening:accept():receive(), "from the server")
end

function T.lets_nobody_else_connect(t)
  local conn = connect(t)
  local told = passive(t, conn, "227 Entering Passive Mode (192,0,2,21,19,137)\r\n")
  local other = t:connect { client = "10.0.0.66", to = "192.0.2.1:" .. port_of(told) }
  t:equal(other.state, "reset")
  t:match(t:logs("still expected")[1].error, "no connection is expected from 10.0.0.66")
end

function T.waits_for_a_minute(t)
  local conn = connect(t)
  local told = passive(t, conn, "227 Entering Passive Mode (192,0,2,21,19,137)\r\n")
  t:advance(61)
  t:error(function()
    t:connect { client = client, to = "192.0.2.1:" .. port_of(told) }
  end, "connection refused")
end

function T.refuses_encryption(t)
  local conn = connect(t)
  conn:send("AUTH TLS\r\nNOOP\r\n")
  t:equal(conn:receive(), "534 not through this gateway\r\n")
  t:equal(conn.server:receive(), "NOOP\r\n")
end

function T.leaves_the_rest_alone(t)
  local conn = connect(t)
  conn.server:send("220 hel")
  conn.server:send("lo\r\n230 in\r\n")
  t:equal(conn:receive(), "220 hello\r\n230 in\r\n")
end

function T.denies_a_line_without_end(t)
  local conn = connect(t)
  conn:send(("x"):rep(5000))
  t:equal(conn.verdict, "deny")
  t:match(conn.reason, "too long")
end

return T
