-- Takes a request through the rules of a policy, of which the last one applies.
local rules = {}
for i = 1, 8 do
  rules[#rules + 1] = { field = "path", pattern = "^/tenant" .. i .. "/(%w+)/admin", action = "deny" }
  rules[#rules + 1] = { field = "agent", pattern = "[Ss]canner%-" .. i .. "%.%d+", action = "deny" }
  rules[#rules + 1] = { field = "path", prefix = "/static/" .. i .. "/", action = "pass" }
  rules[#rules + 1] = { field = "path", text = "../" .. i, action = "deny" }
end
rules[#rules + 1] = { field = "path", pattern = "^/api/v(%d+)/users/(%d+)$", action = "limit" }

local function applies(rule, value)
  if rule.pattern then return value:match(rule.pattern) end
  if rule.prefix then return value:sub(1, #rule.prefix) == rule.prefix end
  return value:find(rule.text, 1, true)
end

local request = {
  path = "/api/v2/users/4711",
  agent = "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
}

return function()
  for i, rule in ipairs(rules) do
    if applies(rule, request[rule.field]) then return rule.action .. "-" .. i end
  end
  return "pass"
end
