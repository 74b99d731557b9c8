-- Does the work of the case for each request, and adds a header with what it came to.
local work, json = dofile("{{.Dir}}/{{work}}.lua"), dofile("{{.Dir}}/json.lua")

core.register_action("bench", { "http-req" }, function(txn)
  txn.http:req_add_header("X-Result", work(json))
end)
