-- Tests of map_local.lua: fwx test examples/lua/map_local_test.lua
local T = {}

local function start(t)
  t:http("192.0.2.80:80", "the server")
  t:write("www/a.css", "body {}")
  t:start {
    protocol = "http",
    config = { prefix = "/static/", dir = "www/" }, allow = { read = { "www/" } },
  }
end

function T.answers_from_files(t)
  start(t)
  local x = t:request { path = "/static/a.css?v=1" }
  t:equal({ x.status, x.body, x.headers["content-type"] }, { 200, "body {}", "text/css" })
end

function T.other_paths_go_to_the_server(t)
  start(t)
  t:equal(t:request({ path = "/other" }).body, "the server")
end

function T.other_spellings_of_a_path(t)
  start(t)
  for _, path in ipairs { "//static/a.css", "/%73tatic/a.css", "/x/../static/a.css", "/static/./%61.css" } do
    t:equal(t:request({ path = path }).body, "body {}")
  end
end

function T.a_file_that_is_missing(t)
  start(t)
  t:equal(t:request({ path = "/static/none.css" }).status, 404)
end

function T.nothing_else_is_read(t)
  start(t)
  t:write("secret", "secret")
  t:equal(t:request({ path = "/static/../secret" }).body, "the server") -- it is another path
  t:equal(t:request({ path = "/static/..%2fsecret" }).status, 400)
end

function T.only_reading(t)
  start(t)
  local x = t:request { method = "POST", path = "/static/a.css" }
  t:equal({ x.status, x.headers.allow }, { 405, "GET, HEAD" })
end

return T
