-- What luacheck takes for right. Run it at the top of the checkout: luacheck .
std = "lua51"
unused_args = false -- handlers name what they are given
exclude_files = { "scripting/stubs/" } -- declarations for editors

files["scripting/testdata"] = { max_line_length = false }
files["bench/conf/work-*"] = { max_line_length = false }
files["bench/conf/fwx-*"] = { max_line_length = false }
files["bench/conf/haproxy-*"] = { globals = { "core", "filter" }, max_line_length = false }
files["bench/conf/nginx-*"] = { globals = { "ngx" }, max_line_length = false }
files["bench/conf/wrk.lua"] = { globals = { "done", "wrk" } }
