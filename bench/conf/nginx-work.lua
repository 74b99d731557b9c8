-- Does the work of the case for each request, and adds a header with what it came to.
local work, json = dofile("{{.Dir}}/{{work}}.lua"), dofile("{{.Dir}}/json.lua")

return {
  request = function() ngx.req.set_header("X-Result", work(json)) end,
}
