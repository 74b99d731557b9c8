-- Searches all data for a text that is not there. Bodies of requests are not seen.
return {
  request = function()
    if ngx.req.raw_header():find("needle", 1, true) then return ngx.exit(403) end
  end,
  answer = function()
    if ngx.arg[1]:find("needle", 1, true) then return ngx.ERROR end
  end,
}
