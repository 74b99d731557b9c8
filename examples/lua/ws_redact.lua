-- Numbers of cards and e-mail addresses in the texts of WebSockets are starred out, in
-- both directions.
--
--   [[listener]]
--   protocol = "http"
--   filters  = ["ws_redact"]
--
--   [[filter]]
--   name   = "ws_redact"
--   kind   = "lua"
--   script = "examples/lua/ws_redact.lua"
--   [filter.config]
--   cards  = true
--   emails = true
--   limit  = 65536      # a longer text closes the WebSocket: it is not looked at
--
-- Expressions take linear time, and a text has at most limit / 13 numbers, so a message
-- cannot keep the worker for long. Binary messages pass as they are.

local fwx = require "fwx"
local M = {}

local card = assert(fwx.re.compile [[\b\d(?:[ -]?\d){12,18}\b]])
local email = assert(fwx.re.compile [[[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+]])

local limit, cards, emails

function M.on_init(config)
  limit = config.limit or 65536
  cards, emails = config.cards ~= false, config.emails ~= false
end

-- is_card reports whether the last digit is the check digit of those before it (Luhn).
local function is_card(digits)
  local sum, double = 0, false
  for i = #digits, 1, -1 do
    local d = digits:byte(i) - 48
    if double then d = d * 2 > 9 and d * 2 - 9 or d * 2 end
    sum, double = sum + d, not double
  end
  return sum % 10 == 0
end

-- star_card leaves the last four digits; nil leaves all that is no number of a card.
local function star_card(found)
  if is_card((found:gsub("%D", ""))) then return found:sub(1, -5):gsub("%d", "*") .. found:sub(-4) end
end

function M.on_message(conn, message, direction, kind)
  if kind ~= "text" then return end
  if #message > limit then return fwx.deny("a text that is too long to be looked at") end
  local text, n, m = message, 0, 0
  if cards then text, n = card:replace(text, star_card) end
  if emails then text, m = email:replace(text, "***@***") end
  if n + m > 0 then return text end
end

return M
