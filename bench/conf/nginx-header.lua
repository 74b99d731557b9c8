-- Reads one header of each request and adds one.
return {
  request = function() ngx.req.set_header("X-Seen", ngx.var.http_host) end,
}
