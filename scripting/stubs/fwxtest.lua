---@meta fwxtest
-- luacheck: ignore
-- Generated from the tables of bindings; changes here are lost.

---A test that runs, and all that it can do.
---@class fwxtest.t
local t = {}

---Starts a gateway with the script, see [starting](docs/reference/testing.md#starting). A mistake
---in the script or the options, and an `on_init` that fails, are errors: `t:start{ config = { limit
---= 2 } }`.
---@param options? {config?: table, allow?: table, on_error?: string, budget?: integer, event_budget?: integer, memory?: integer, breaker?: integer, breaker_pause?: number, script?: string, server?: string, listener?: string, protocol?: string, tls?: string, upstream?: string, upstreams?: table, env?: table, dns?: table, shared?: table}
function t:start(options) end

---Ends the gateway: `on_shutdown`, and before it `on_close` of the connections there are. At the
---end of a test it is called anyway.
function t:stop() end

---Connects as a client: from the address `client`, with or without a port, to the listener, or to
---another address of the gateway, `to`, on which the script expects a connection; with `tls` by
---TLS, see [TLS](docs/reference/testing.md#tls). `t:connect{ client = "10.0.0.7:1234" }`.
---@param options? {client?: string, to?: string, tls?: {sni?: string, alpn?: string[]}}
---@return fwxtest.conn
function t:connect(options) end

---Connects as `t:connect` does, and makes a request of HTTP, see
---[requests](docs/reference/testing.md#requests). `t:request{ path = "/private" }`.
---@param options? {method?: string, path?: string, host?: string, headers?: table, body?: string|table, cut?: boolean, client?: string, to?: string, tls?: table}
---@return fwxtest.exchange
function t:request(options) end

---Makes a file in memory, and the directories above it; before or after `t:start`.
---@param path string
---@param content string
function t:write(path, content) end

---What a file has; `nil`: there is none.
---@param path string
---@return string?
function t:read(path) end

---Removes a file.
---@param path string
function t:remove(path) end

---The paths of all files, in order.
---@return string[]
function t:files() end

---Plays a server at an address such as `"10.0.0.9:7000"`, or with TLS at `"tls://10.0.0.9:7000"`,
---for the script to connect to, or in place of the one that connections go to. `reply` is called
---with what has come; what it returns is sent.
---@param address string
---@param reply? fun(peer: fwxtest.peer, data: string): string?
---@return fwxtest.server
function t:server(address, reply) end

---Plays a server of HTTP, see [servers](docs/reference/testing.md#servers). The response is a
---string, a table such as `{ status = 403, headers = { … }, body = "…" }`, or what a function
---returns for a request: `nil` is no answer.
---@param address string
---@param reply string|table|fun(request: table, peer: fwxtest.peer): string|table|nil
---@return fwxtest.server
function t:http(address, reply) end

---Has operations on a file, or on all beneath a directory, fail: `t:fail("var/x", "ENOSPC",
---"write")`, with `on` only those of that kind; or has connecting to an address fail:
---`t:fail("10.0.0.9:443", "ECONNREFUSED")`, and with the code `"timeout"` never be answered. See
---[errors](docs/reference/testing.md#errors).
---@param target string
---@param code string
---@param on? string
function t:fail(target, code, on) end

---Ends what `t:fail` has begun.
---@param target string
function t:mend(target) end

---The certificate (PEM) that those of the servers with TLS are signed by. A script trusts it as it
---does those of the system; one that wants a file of its own, the option `ca`, gets it there:
---`t:write("certs/ca.pem", t:authority())`.
---@return string
function t:authority() end

---Lets time pass, and all happen for which the time comes: `t:advance(0.5)`.
---@param seconds number
function t:advance(seconds) end

---Lets time pass until `fn()` is true, up to an hour, or as many seconds as are said. The test
---fails if it does not become so, and at once if nothing is under way that could make it so.
---@param fn fun(): any
---@param seconds? number
function t:eventually(fn, seconds) end

---The time of day of the gateway, in seconds since 1970. A test begins at the beginning of 2026,
---UTC.
---@return number
function t:time() end

---The lines of the gateway's log since it was called before, or those of them in whose `text` a
---pattern of Lua is found: the level, the message and the values, as they are, without quotes. Each
---has `level`, `message`, `text`, and the values by their names.
---@param pattern? string
---@return table[]
function t:logs(pattern) end

---What a metric has come to, of a histogram how many values it has counted; `nil`: there is none.
---Of `labels` those that are given count.
---@param name string
---@param labels? table<string, string|number|boolean>
---@return number?
function t:metric(name, labels) end

---What `fwx.shared` has under a key.
---@param key string
---@return string|number|boolean|nil
function t:shared(key) end

---What a text of JSON stands for; `null` is `nil`.
---@param text string
---@return any
function t:json(text) end

---Prints a line, which is shown if the test fails, and with `-v`. `print` does the same.
---@param ... any
function t:log(...) end

---Fails unless both are the same, of tables what is in them. `about` is said with the difference:
---`t:equal(conn.verdict, "deny")`.
---@param got any
---@param want any
---@param about? string
function t:equal(got, want, about) end

---Fails unless a pattern of Lua is found in the text.
---@param text string?
---@param pattern string
---@param about? string
function t:match(text, pattern, about) end

---Fails if the value is `nil` or `false`.
---@param value any
---@param about? string
function t:truthy(value, about) end

---Fails unless calling `fn` raises an error, in whose message the pattern is found:
---`t:error(function() t:start{ config = {} } end, "is missing")`.
---@param fn fun()
---@param pattern? string
---@param about? string
function t:error(fn, pattern, about) end

---A connection of a client, as the client has it.
---@class fwxtest.conn
---The other end, which a server has accepted; `nil`: the gateway has connected to none.
---@field server fwxtest.peer?
---How it went so far.
---@field verdict "pass"|"deny"|"fail"
---Why it was ended; `nil` if both sides agreed.
---@field reason string?
---Whether a handler of the script keeps it, or one of its directions, waiting.
---@field held boolean
---What its handlers wait for, a line each: `on_connect waits in get at check.lua:36`.
---@field waits string?
---What this side has seen of the other: `"closed"` when the stream has ended, `"reset"` when it was
---broken off, as a denied connection is.
---@field state "open"|"closed"|"reset"
---The address of this end.
---@field address string
local conn = {}

---Makes a request of HTTP on the connection, see [requests](docs/reference/testing.md#requests).
---@param options? {method?: string, path?: string, host?: string, headers?: table, body?: string|table, cut?: boolean}
---@return fwxtest.exchange
function conn:request(options) end

---Sends data. What the gateway does not take yet is sent later.
---@param data string
function conn:send(data) end

---What has come since it was called before, `""` if nothing has. It does not wait: all that happens
---without time passing has happened.
---@return string
function conn:receive() end

---Ends the stream of this side, as `shutdown` of a socket does; the other may go on.
function conn:finish() end

---Closes the connection.
function conn:close() end

---Breaks it off.
function conn:reset() end

---Sends a message of a WebSocket, a text unless `kind` says otherwise. The test has made the
---connection one: it has sent the request for that, and the answer.
---@param data string
---@param kind? "text"|"binary"|"ping"|"pong"
function conn:send_message(data, kind) end

---The next message of a WebSocket that has come; `nil` if none has. Of a close it is the reason,
---with the code.
---@return string? data
---@return "text"|"binary"|"close"|"ping"|"pong"|nil kind
---@return integer? code
function conn:receive_message() end

---A request that the test has made, and what has come of the response.
---@class fwxtest.exchange
---The connection that it was made on.
---@field conn fwxtest.conn
---The status of the response; `nil`: it has not come yet.
---@field status integer?
---Its headers: by their names in lower case, and as a list the lines as they have come.
---@field headers table
---What has come of its body, without the framing.
---@field body string
---Whether all of it has come.
---@field complete boolean
local exchange = {}

---A connection that a server of the test has accepted.
---@class fwxtest.peer
---What this side has seen of the other: `"closed"` when the stream has ended, `"reset"` when it was
---broken off, as a denied connection is.
---@field state "open"|"closed"|"reset"
---The address of this end.
---@field address string
local peer = {}

---Sends data. What the gateway does not take yet is sent later.
---@param data string
function peer:send(data) end

---What has come since it was called before, `""` if nothing has. It does not wait: all that happens
---without time passing has happened.
---@return string
function peer:receive() end

---Ends the stream of this side, as `shutdown` of a socket does; the other may go on.
function peer:finish() end

---Closes the connection.
function peer:close() end

---Breaks it off.
function peer:reset() end

---Sends a message of a WebSocket, a text unless `kind` says otherwise. The test has made the
---connection one: it has sent the request for that, and the answer.
---@param data string
---@param kind? "text"|"binary"|"ping"|"pong"
function peer:send_message(data, kind) end

---The next message of a WebSocket that has come; `nil` if none has. Of a close it is the reason,
---with the code.
---@return string? data
---@return "text"|"binary"|"close"|"ping"|"pong"|nil kind
---@return integer? code
function peer:receive_message() end

---A server that the test plays.
---@class fwxtest.server
---How many connections it has accepted.
---@field count integer
---The requests that a server of HTTP has had: `method`, `target`, `host`, `headers` as those of an
---[exchange](docs/reference/testing.md#requests), and `body`.
---@field requests table[]?
local server = {}

---The next connection that has come and was not returned before. If there is none the test fails.
---@return fwxtest.peer
function server:accept() end

---Ends the server: whoever connects is refused. Connections go on.
function server:close() end
