-- Tests of smtp_guard.lua: fwx test examples/lua/smtp_guard_test.lua
local T = {}

local function connect(t, config)
  t:start { config = config, server = "192.0.2.25:25" }
  return t:connect()
end

-- exchange sends to the server and back, and checks what arrives there.
local function exchange(t, conn, sent, arrives, answer)
  conn:send(sent)
  t:equal(conn.server:receive(), arrives)
  conn.server:send(answer)
  t:equal(conn:receive(), answer)
end

function T.lets_a_mail_through(t)
  local conn = connect(t)
  exchange(t, conn, "EHLO me\r\n", "EHLO me\r\n", "250 hello\r\n")
  exchange(t, conn, "MAIL FROM:<a@example.com>\r\n", "MAIL FROM:<a@example.com>\r\n", "250 ok\r\n")
  exchange(t, conn, "DATA\r\n", "DATA\r\n", "354 go on\r\n")
  local mail = "Subject: x\r\n\r\nVRFY is no command here\r\n.\r\n"
  exchange(t, conn, mail, mail, "250 ok\r\n")
  exchange(t, conn, "QUIT\r\n", "QUIT\r\n", "221 bye\r\n")
end

function T.replaces_commands_that_are_not_allowed(t)
  local conn = connect(t)
  exchange(t, conn, "VRFY staff\r\n", "REFUSED\r\n", "500 unknown\r\n")
  exchange(t, conn, "STARTTLS\r\n", "REFUSED\r\n", "500 unknown\r\n")
  t:equal(t:logs("command refused")[1].command, "VRFY")
end

function T.reads_lines_however_they_come(t)
  local conn = connect(t)
  for piece in ("VRFY staff\r\nNOOP\r\n"):gmatch(".") do
    conn:send(piece)
  end
  t:equal(conn.server:receive(), "REFUSED\r\nNOOP\r\n")
end

function T.allows_what_it_is_told_to(t)
  local conn = connect(t, { commands = { "vrfy" } })
  conn:send("VRFY staff\r\nNOOP\r\n")
  t:equal(conn.server:receive(), "VRFY staff\r\nREFUSED\r\n")
end

function T.takes_a_refused_DATA_for_no_mail(t)
  local conn = connect(t)
  exchange(t, conn, "DATA\r\n", "DATA\r\n", "503 no recipients\r\n")
  exchange(t, conn, "VRFY staff\r\n", "REFUSED\r\n", "500 unknown\r\n")
end

function T.drops_half_a_command_at_the_end(t)
  local conn = connect(t)
  conn:send("NOOP\r\nVRFY st")
  conn:finish()
  t:equal(conn.server:receive(), "NOOP\r\n")
  t:equal(conn.server.state, "closed")
end

function T.ends_a_connection_with_a_line_that_is_too_long(t)
  local conn = connect(t)
  conn:send(("x"):rep(5000))
  t:equal(conn.verdict, "fail")
  t:match(conn.reason, "a line of more than 4096 bytes")
  t:equal(conn.state, "reset")
end

return T
