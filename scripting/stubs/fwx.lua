---@meta fwx
-- luacheck: ignore
-- Generated from the tables of bindings; changes here are lost.
-- What a function with "@return string? message" returns when it fails is nil,
-- a message and a code.

---A string, or a chunk in its place.
---@alias fwx.bytes string|fwx.chunk

---From the client to the server, or back.
---@alias fwx.direction "upstream"|"downstream"

---A connection. Its fields cannot be set; they can be read as long as the script keeps the object.
---@class fwx.conn
---Unique from start to end of the service; it begins at 1 with each start.
---@field id integer
---The client's address, `"192.0.2.7"` or `"2001:db8::7"`; IPv4 always in the form of IPv4. `nil` on
---a unix socket.
---@field client string?
---`nil` on a unix socket.
---@field client_port integer?
---The server's address with port, `"10.0.0.5:80"`. In `on_connect` the one that will be tried
---first; `nil` if none has been chosen, or if a filter emulates the server.
---@field server string?
---The listener's name.
---@field listener string
---The upstream's name.
---@field upstream string
---Of a connection that [was expected](docs/reference/lua.md#expected) the one in which it was;
---`nil` for all others.
---@field parent fwx.conn?
---TLS with the client, see [tls](docs/reference/lua.md#tls); `nil` on a listener without it.
---@field tls fwx.tls?
---The client's session.
---@field session fwx.session
---A table of the script's own for this connection, empty at first.
---@field ctx table
---The bytes received from the client so far.
---@field bytes_up integer
---The bytes received from the server so far.
---@field bytes_down integer
---The seconds since the connection was accepted; fixed at its end.
---@field duration number
---How it went so far.
---@field verdict "pass"|"deny"|"fail"
---Why it was ended; `nil` if both sides agreed.
---@field reason string?
---Who has ended it: `"nobody"` if both sides agreed; `"limit"`: a time or size of the
---configuration; `"gateway"`: the service ends, or has a fault.
---@field ended_by "nobody"|"client"|"server"|"filter"|"limit"|"gateway"|"operator"
local conn = {}

---Sends data in a direction, behind what has been sent and before the chunk that is being handled.
---No filter sees it. Does not wait. `"full"`: more than 1 MiB would wait for the receiver.
---`"closed"`: the connection, or the stream in that direction, has ended. `"error"`: it is not
---connected yet, as in `on_connect`.
---@param direction fwx.direction
---@param data fwx.bytes
---@return true?
---@return string? message
---@return string? code
function conn:send(direction, data) end

---Sends a message on a WebSocket, behind what has been sent and before the message that is being
---handled; a text unless `kind` says otherwise. No filter sees it. Does not wait. Only where a
---script has `on_message`. `"full"`: more than 1 MiB would wait for the receiver. `"closed"`: the
---WebSocket has been closed. `"error"`: it is none, or not yet, or the text is not UTF-8.
---@param direction fwx.direction
---@param data fwx.bytes
---@param kind? "text"|"binary"
---@return true?
---@return string? message
---@return string? code
function conn:send_message(direction, data, kind) end

---Closes a WebSocket towards both sides, with a code from 1000 to 1003, 1007 to 1014 or 3000 to
---4999 (1000 if it is missing) and a reason. Only where a script has `on_message`. `"error"`: it is
---none, or not yet, or the code is another.
---@param code? integer
---@param reason? string
---@return true?
---@return string? message
---@return string? code
function conn:close_websocket(code, reason) end

---Lets one connection more through, see [expected](docs/reference/lua.md#expected).
---@param options {from: "client"|"server", port: integer, listen_port?: integer, timeout?: number, watch?: boolean}
---@return fwx.expected?
---@return string? message
---@return string? code
function conn:expect(options) end

---Chooses the upstream that the connection goes to, in `on_client_hello`; on a listener that speaks
---HTTP the one of requests for which neither a route nor `req.upstream` names another. `"unknown"`:
---the configuration has no upstream of that name. `"error"`: called anywhere else.
---@param name string
---@return true?
---@return string? message
---@return string? code
function conn:set_upstream(name) end

---Decides in `on_client_hello` whether the gateway terminates TLS or passes it through, whatever
---the listener's `mode` is. No HTTP is spoken then on a connection that is passed through.
---`"error"`: anywhere else, or the listener has no certificate.
---@param mode "terminate"|"passthrough"
---@return true?
---@return string? message
---@return string? code
function conn:set_tls_mode(mode) end

---Ends the connection. What has not been sent is dropped. The handler goes on; its next call that
---waits raises "connection ended".
function conn:close() end

---The same as `conn:close`, and both sides see a reset.
function conn:reset() end

---A connection that `conn:expect` waits for. It is over when the connection has come, when its time
---is up, and when the connection that it was expected in ends.
---@class fwx.expected
---The gateway's address on which it is waited for.
---@field address string
---The port.
---@field port integer
local expected = {}

---Waits for it no longer. Has no effect when the connection has come.
function expected:cancel() end

---What a client offers that begins TLS, as it has sent it, reserved numbers (GREASE) included.
---@class fwx.hello
---The name of the server that the client wants, in small letters; `nil` if it does not say.
---@field sni string?
---The application protocols, `"h2"`, the preferred first.
---@field alpn string[]
---The versions of TLS, `"1.3"`; one without a name is hexadecimal, `"0x7a7a"`.
---@field versions string[]
---The cipher suites, by their numbers of IANA.
---@field cipher_suites integer[]
---The extensions, by theirs, in the client's order.
---@field extensions integer[]
---The groups for the key exchange, by theirs: 4588 is X25519MLKEM768.
---@field groups integer[]
---The JA4 fingerprint of the client.
---@field fingerprint string
local hello = {}

---TLS with the client of a connection.
---@class fwx.tls
---As in the hello.
---@field sni string?
---As in the hello.
---@field fingerprint string
---The gateway is the TLS server, and the handshake is done. The fields that follow are `nil`
---otherwise.
---@field terminated boolean
---The version that was agreed on, `"1.3"`.
---@field version string?
---The cipher suite, `"TLS_AES_128_GCM_SHA256"`.
---@field cipher string?
---The application protocol that was agreed on; `nil` if none was.
---@field alpn string?
---The subject of the client's certificate, which was verified, `"CN=alice,O=Example"`; `nil` if it
---has shown none.
---@field client_subject string?
---The client came back with a session ticket.
---@field resumed boolean
local tls = {}

---What all connections of a client address share.
---@class fwx.session
local session = {}

---The value of a key.
---@param key string
---@return string|number|boolean|nil
function session:get(key) end

---`nil` removes the value. `"full"`: there are 1024 already, or they would take more than 1 MiB, or
---those of all sessions more than 64 MiB.
---@param key string
---@param value fwx.bytes|number|boolean|nil
---@return true?
---@return string? message
---@return string? code
function session:set(key, value) end

---Adds to a number, 1 if `by` is missing, in one step for all workers. What is no number counts as
---0. `"full"` likewise.
---@param key string
---@param by? number
---@return number? sum
---@return string? message
---@return string? code
function session:incr(key, by) end

---A view of data that was received, valid until its `on_data` returns.
---@class fwx.chunk
---@operator len: integer
---@operator concat(fwx.bytes|number): string
local chunk = {}

---The number of bytes.
---@return integer
function chunk:len() end

---A part, counted as in `string.sub`.
---@param first integer
---@param last? integer
---@return string
function chunk:sub(first, last) end

---Up to 200 bytes as numbers, as `string.byte`.
---@param first? integer
---@param last? integer
---@return integer ...
function chunk:byte(first, last) end

---The first and last position of a text, not a pattern; `nil` if there is none.
---@param text fwx.bytes
---@param from? integer
---@return integer? first
---@return integer? last
function chunk:find(text, from) end

---Up to `n` bytes behind so many; at or behind the end `nil`. As that of a `spooled`, for a handler
---that may be given either.
---@param offset integer
---@param n integer
---@return string?
function chunk:read(offset, n) end

---Whether the chunk begins with a text.
---@param text fwx.bytes
---@return boolean
function chunk:starts_with(text) end

---The byte at a position. `nil` if they are not all there.
---@param at integer
---@return integer?
function chunk:u8(at) end

---Two bytes, the high one first. `nil` if they are not all there.
---@param at integer
---@return integer?
function chunk:u16(at) end

---Four bytes, the highest first. `nil` if they are not all there.
---@param at integer
---@return integer?
function chunk:u32(at) end

---Two bytes, the low one first. `nil` if they are not all there.
---@param at integer
---@return integer?
function chunk:u16le(at) end

---Four bytes, the lowest first. `nil` if they are not all there.
---@param at integer
---@return integer?
function chunk:u32le(at) end

---The body of a request on the disk, see `req:whole_body`; valid until its `on_request_body`
---returns.
---@class fwx.spooled
---@operator len: integer
local spooled = {}

---The number of bytes.
---@return integer
function spooled:len() end

---Waits. As `file:read`: up to `n` bytes, at most 64 MiB. At or behind the end a single `nil`.
---@param offset integer
---@param n integer
---@return string?
---@return string? message
---@return string? code
function spooled:read(offset, n) end

---The answer of a handler.
---@class fwx.verdict
local verdict = {}

---An open file.
---@class fwx.file
local file = {}

---Waits. Up to `n` bytes, at most 64 MiB; fewer at the end of the file. At or behind the end a
---single `nil`.
---@param offset integer
---@param n integer
---@return string?
---@return string? message
---@return string? code
function file:read(offset, n) end

---Waits. From the beginning to the end. `"EFBIG"`: larger than `limit`, at most and otherwise 64
---MiB.
---@param limit? integer
---@return string?
---@return string? message
---@return string? code
function file:read_all(limit) end

---Waits. The number of bytes written, which is all of them.
---@param offset integer
---@param data fwx.bytes
---@return integer?
---@return string? message
---@return string? code
function file:write(offset, data) end

---Mode `"a"` only, see [appending](docs/reference/lua.md#appending). Waits if the file's queue is
---full.
---@param record fwx.bytes
---@return true?
---@return string? message
---@return string? code
function file:append(record) end

---Waits until the data is on the disk. Not in mode `"a"`.
---@return true?
---@return string? message
---@return string? code
function file:sync() end

---Waits. As `fwx.file.stat`, of what the path names now.
---@return {size: integer, mtime: number, type: string}?
---@return string? message
---@return string? code
function file:stat() end

---Does not wait. Closing again does nothing.
---@return true
function file:close() end

---What `fwx.after` or `fwx.every` has begun.
---@class fwx.timer
local timer = {}

---`true` if it would have called again.
---@return boolean
function timer:stop() end

---What `fwx.file.watch` has begun.
---@class fwx.watch
local watch = {}

---Ends the watch.
function watch:close() end

---A set of addresses and networks.
---@class fwx.set
---@operator len: integer
local set = {}

---`false` for `nil` and for text that is no address.
---@param address string?
---@return boolean
function set:contains(address) end

---A connection to a server.
---@class fwx.socket
local socket = {}

---Waits until the system has taken all of it, which is not when the server has it. After a failure,
---`"timeout"` too, the socket is closed: how much was sent is not known.
---@param data fwx.bytes
---@param timeout? number
---@return true?
---@return string? message
---@return string? code
function socket:send(data, timeout) end

---Waits. Without `n` what there is, from 1 byte to 64 KiB; with it exactly `n` bytes, at most 16
---MiB. At the end of the stream a single `nil`; `"closed"` if it ends before `n` bytes. After a
---failure what has come stays for the next call.
---@param n? integer
---@param timeout? number
---@return string?
---@return string? message
---@return string? code
function socket:receive(n, timeout) end

---Waits. A line without its end, `\n` or `\r\n`. `"EMSGSIZE"`: it has more than `max` bytes, 8192
---if missing, at most 16 MiB. The end of the stream is as in `receive`: a last line that has no end
---stays to be received.
---@param max? integer
---@param timeout? number
---@return string?
---@return string? message
---@return string? code
function socket:receive_line(max, timeout) end

---Does not wait. Calls in other handlers that wait for it fail with `"aborted"`. Closing again does
---nothing.
---@return true
function socket:close() end

---The headers of a message.
---@class fwx.headers
local headers = {}

---The first header of a name, in capitals or not; `nil` if there is none.
---@param name string
---@return string?
function headers:get(name) end

---All headers of a name, in their order.
---@param name string
---@return string[]
function headers:all(name) end

---The names of all headers, each once and in lower case, in order.
---@return string[]
function headers:names() end

---Gives the first header of a name a value and removes the others, or adds one. Of a list each
---value makes a header. Only those of `req` and `res` can be changed.
---@param name string
---@param value fwx.bytes|number|string[]
function headers:set(name, value) end

---Adds a header after the others, whatever there is; of a list one for each value.
---@param name string
---@param value fwx.bytes|number|string[]
function headers:add(name, value) end

---Removes all headers of a name.
---@param name string
function headers:remove(name) end

---A request, valid until it has been answered.
---@class fwx.request
---The request's id, which is in the log, and for the client and the server in `X-Request-Id`, or
---the field that `request_id` names.
---@field id string
---The method. Can be set [until the request goes on](docs/reference/lua.md#when-what-is-possible).
---@field method string
---The path, to compare: without the query, and the same for each spelling that a server may
---understand (`//a`, `/%61`, `/x/../a`), see [http.md](http.md#spellings). Can be set [until the
---request goes on](docs/reference/lua.md#when-what-is-possible), without any encoding; the query
---stays as it is.
---@field path string
---What stands behind the `?`, as it was sent; `nil` without one.
---@field query string?
---Path and query, as they were sent and go on. Can be set [until the request goes
---on](docs/reference/lua.md#when-what-is-possible). Not to compare: use `path` for that.
---@field target string
---The host that the request is for, to compare: in lower case, without its port and without a dot
---at its end. Can be set [until the request goes on](docs/reference/lua.md#when-what-is-possible),
---with a port if need be.
---@field host string
---The host as it was sent and goes on, with its port if there is one. Not to compare: use `host`
---for that.
---@field authority string
---The version of HTTP that the client speaks.
---@field version "1.0"|"1.1"
---The upstream that the request goes to; `nil` before that is known. Can be set [until the request
---goes on](docs/reference/lua.md#when-what-is-possible).
---@field upstream string?
---Whether a body comes with it: its headers tell of one, other than of 0 bytes, and for a response
---the client is sent one (not with HEAD, nor with the status 204, 205 or 304). Without one the
---handler for bodies is given the end alone.
---@field has_body boolean
---Its headers, without those that concern only the connection. They can be changed [until they go
---on](docs/reference/lua.md#when-what-is-possible).
---@field headers fwx.headers
---The headers behind a body in chunks. They are there, and can be changed (`trailers:set(name,
---value)`, `add`, `remove`), when the handler for bodies is given its end, an empty chunk; to
---change them before is an error. They go on behind a body that is sent on in chunks, as all are
---that have such a handler. They are lost where a length is sent instead, with a body that was
---gathered, of which they cannot be changed, or on the disk, and where the client speaks HTTP/1.0.
---@field trailers fwx.headers
local request = {}

---In `on_request` or `on_response`, elsewhere it is an error: gathers the body of that message, up
---to a number of bytes, and gives it to the handler for bodies in one chunk. One that is longer is
---refused with 413 (a response with 502), or passes unseen. With `"spool"` that of a request goes
---[to the disk](http.md#bodies-on-the-disk), and the handler is given a `spooled` once, instead of
---chunks; a string that it returns is sent instead.
---@param limit integer
---@param overflow? "refuse"|"pass"|"spool"
function request:whole_body(limit, overflow) end

---In `on_request` or `on_response`, elsewhere it is an error: has the body of that message decoded
---(`Content-Encoding`: gzip, deflate, br, zstd, also several). Handlers for bodies see what comes
---out, and that goes on; the headers say so. A body without a coding stays as it is. `"unknown"`: a
---coding that is none of these. `"error"`: a part of a body (`Content-Range`).
---@return true?
---@return string? message
---@return string? code
function request:decode_body() end

---The response to a request, valid as long as that.
---@class fwx.response
---The status. Can be set [until the response goes on](docs/reference/lua.md#when-what-is-possible).
---@field status integer
---Whether a body comes with it: its headers tell of one, other than of 0 bytes, and for a response
---the client is sent one (not with HEAD, nor with the status 204, 205 or 304). Without one the
---handler for bodies is given the end alone.
---@field has_body boolean
---Its headers, without those that concern only the connection. They can be changed [until they go
---on](docs/reference/lua.md#when-what-is-possible).
---@field headers fwx.headers
---The headers behind a body in chunks. They are there, and can be changed (`trailers:set(name,
---value)`, `add`, `remove`), when the handler for bodies is given its end, an empty chunk; to
---change them before is an error. They go on behind a body that is sent on in chunks, as all are
---that have such a handler. They are lost where a length is sent instead, with a body that was
---gathered, of which they cannot be changed, or on the disk, and where the client speaks HTTP/1.0.
---@field trailers fwx.headers
local response = {}

---In `on_request` or `on_response`, elsewhere it is an error: gathers the body of that message, up
---to a number of bytes, and gives it to the handler for bodies in one chunk. One that is longer is
---refused with 413 (a response with 502), or passes unseen. With `"spool"` that of a request goes
---[to the disk](http.md#bodies-on-the-disk), and the handler is given a `spooled` once, instead of
---chunks; a string that it returns is sent instead.
---@param limit integer
---@param overflow? "refuse"|"pass"|"spool"
function response:whole_body(limit, overflow) end

---In `on_request` or `on_response`, elsewhere it is an error: has the body of that message decoded
---(`Content-Encoding`: gzip, deflate, br, zstd, also several). Handlers for bodies see what comes
---out, and that goes on; the headers say so. A body without a coding stays as it is. `"unknown"`: a
---coding that is none of these. `"error"`: a part of a body (`Content-Range`).
---@return true?
---@return string? message
---@return string? code
function response:decode_body() end

---A compiled expression.
---@class fwx.re
local re = {}

---The groups of the first match, or all of it if there are none; `nil` if it does not match. A
---group that has no part in the match is `nil`.
---@param text fwx.bytes
---@param from? integer
---@return string? ...
function re:match(text, from) end

---The first and last position of the first match, and its groups; `nil` if it does not match.
---@param text fwx.bytes
---@param from? integer
---@return integer? first
---@return integer? last
---@return string? ...
function re:find(text, from) end

---All matches. Of an expression with groups each is a table of them, also by their names, with
---`false` for a group that has no part.
---@param text fwx.bytes
---@param limit? integer
---@return (string|table)[]
function re:find_all(text, limit) end

---Replaces all matches. In a text `$1` and `${name}` stand for groups and `$$` for `$`; a function
---is called with what `re:match` returns, and lets the match stand with `nil`.
---@param text fwx.bytes
---@param with fwx.bytes|fun(...: string): string?
---@param limit? integer
---@return string text
---@return integer count
function re:replace(text, with, limit) end

---The parts between the matches; with a limit, at most so many.
---@param text fwx.bytes
---@param limit? integer
---@return string[]
function re:split(text, limit) end

---A file of entries, and what they are now.
---@class fwx.list
---@operator len: integer
local list = {}

---Whether an entry covers a value. None covers `nil`.
---@param value fwx.bytes?
---@return boolean
function list:contains(value) end

---Ends the watch; the entries stay.
function list:close() end

---A metric that only grows.
---@class fwx.counter
local counter = {}

---Adds `n`, 1 if it is missing. A negative number raises an error.
---@param n? number
function counter:inc(n) end

---A metric that rises and falls.
---@class fwx.gauge
local gauge = {}

---Sets the gauge.
---@param value number
function gauge:set(value) end

---Adds `n`, 1 if it is missing; a negative number takes away.
---@param n? number
function gauge:inc(n) end

---A metric that counts values by their size.
---@class fwx.histogram
local histogram = {}

---Counts a value.
---@param value number
function histogram:observe(value) end

---The completion port.
---@class fwx.firewall
local firewall = {}

---Waits. Opens a file and hooks it. Access and modes are those of `fwx.file.open`; in mode `"a"`
---each write goes to the end of the file, past the queue of `file:append`, and a file that was
---renamed is [opened anew](docs/reference/lua.md#appending). Closed with its connection as a file
---is; one that the script has lost stays open until the connection or the filter ends.
---@param path string
---@param mode? "r"|"r+"|"w"|"w+"|"a"
---@return fwx.handle?
---@return string? message
---@return string? code
function firewall:hook_to_completion_port(path, mode) end

---For one operation at a time.
---@return fwx.overlapped
function firewall:create_overlapped() end

---Calls `fn(user)` once, later, on the same worker.
---@param fn fun(user: any)
---@param user? any
---@return true?
---@return string? message
---@return string? code
function firewall:post_task_completion(fn, user) end

---An open file, hooked to the completion port.
---@class fwx.handle
local handle = {}

---Starts to read up to `n` bytes, 1 to 64 MiB. `"closed"`, `"busy"`.
---@param ov fwx.OVERLAPPED
---@param n integer
---@return true?
---@return string? message
---@return string? code
function handle:read_file(ov, n) end

---Starts to write; a chunk is copied. Empty data is `"error"`.
---@param ov fwx.OVERLAPPED
---@param data fwx.bytes
---@return true?
---@return string? message
---@return string? code
function handle:write_file(ov, data) end

---What is in flight is aborted and notified.
---@return true
function handle:close() end

---One operation at a time.
---@class fwx.overlapped
local overlapped = {}

---Names the function that is called when an operation has ended; comes first. `"busy"` while an
---operation is in flight.
---@param fn fun(success: boolean, bytes: integer, err: string?, overlapped: fwx.overlapped, user: any)
---@param user? any
---@return true?
---@return string? message
---@return string? code
function overlapped:set_notification_interface(fn, user) end

---What an operation is started with. The offset is 0 if missing. `"busy"`; raises an error if
---nobody is to be notified.
---@param options? {offset?: integer}
---@return fwx.OVERLAPPED?
---@return string? message
---@return string? code
function overlapped:get_overlapped(options) end

---What the last read has read.
---@return string?
function overlapped:data() end

---A request: the notification comes, and may report success. `"error"` with nothing in flight.
---@return true?
---@return string? message
---@return string? code
function overlapped:cancel() end

---Waits for the end of the operation and the call of `fn`; if that waits itself, only for its first
---part. The bytes transferred. With nothing in flight it returns the result of the last operation
---at once.
---@return integer?
---@return string? message
---@return string? code
function overlapped:wait() end

---An overlapped that is ready for an operation, which is started with it.
---@class fwx.OVERLAPPED
local OVERLAPPED = {}

---What the last read has read.
---@return string?
function OVERLAPPED:data() end

---A request: the notification comes, and may report success. `"error"` with nothing in flight.
---@return true?
---@return string? message
---@return string? code
function OVERLAPPED:cancel() end

---Waits for the end of the operation and the call of `fn`; if that waits itself, only for its first
---part. The bytes transferred. With nothing in flight it returns the result of the last operation
---at once.
---@return integer?
---@return string? message
---@return string? code
function OVERLAPPED:wait() end

---What a script returns.
---@class fwx.handlers
---Once on each worker, at the start, which an error refuses. `config` is `[filter.config]`.
---@field on_init? fun(config: table)
---A client has begun TLS on a listener with `[listener.tls]`, before the handshake and before
---`on_connect`. `conn:set_upstream` and `conn:set_tls_mode` decide how it goes on. Nothing: allow;
---`fwx.deny(reason)`: refuse, by an alert.
---@field on_client_hello? fun(conn: fwx.conn, hello: fwx.hello): fwx.verdict?
---Before a server is connected. Nothing: allow; `fwx.deny(reason)`: refuse.
---@field on_connect? fun(conn: fwx.conn): fwx.verdict?
---For each chunk of each direction. Nothing: it goes on; a string: that goes on instead;
---`fwx.drop`; `fwx.deny(reason)`.
---@field on_data? fun(conn: fwx.conn, chunk: fwx.chunk, direction: fwx.direction): fwx.bytes|fwx.verdict|nil
---The sender has ended its stream in a direction. A string goes on before the end.
---@field on_end? fun(conn: fwx.conn, direction: fwx.direction): fwx.bytes|fwx.verdict|nil
---On a listener with `protocol = "http"`, for each request, when its headers have come. Nothing: it
---goes on, as it was changed; `fwx.respond(...)` answers it; `fwx.deny(reason)` answers 403.
---@field on_request? fun(conn: fwx.conn, req: fwx.request): fwx.verdict?
---For each chunk of a request's body, and once for its end with an empty one, which comes for
---requests without a body, too (`req.has_body`). Nothing: it goes on; a string: that goes on
---instead, the framing follows; `fwx.drop`; `fwx.respond(...)`; `fwx.deny(reason)`.
---@field on_request_body? fun(conn: fwx.conn, req: fwx.request, chunk: fwx.chunk|fwx.spooled): fwx.bytes|fwx.verdict|nil
---For each response of a server, when its headers have come. As `on_request`.
---@field on_response? fun(conn: fwx.conn, req: fwx.request, res: fwx.response): fwx.verdict?
---For each chunk of a response's body, and once for its end with an empty one, which comes for
---responses without a body, too (`res.has_body`). As `on_request_body`, but `fwx.respond` and
---`fwx.deny` break a response off that has begun. None has when it has no body, or is gathered by
---`res:whole_body`.
---@field on_response_body? fun(conn: fwx.conn, req: fwx.request, res: fwx.response, chunk: fwx.chunk): fwx.bytes|fwx.verdict|nil
---For each message of a WebSocket, joined from its fragments and decompressed. Nothing: it goes on;
---a string: a message of the same kind goes on instead; `fwx.drop`; `fwx.deny(reason)` closes the
---WebSocket with 1008.
---@field on_message? fun(conn: fwx.conn, message: fwx.chunk, direction: fwx.direction, kind: "text"|"binary"): fwx.bytes|fwx.verdict|nil
---When the connection has ended.
---@field on_close? fun(conn: fwx.conn)
---Once on each worker, at the end.
---@field on_shutdown? fun()

---What fwx offers to scripts.
---@class fwx
local fwx = {}

---The verdict by which a chunk goes no further. A value, not a function: `return fwx.drop`.
---@type fwx.verdict
fwx.drop = nil

---The completion port in the shape of the filter SDK.
---@type fwx.firewall
fwx.firewall = nil

---The verdict that refuses a connection: `return fwx.deny("not you")`.
---@param reason? string
---@return fwx.verdict
function fwx.deny(reason) end

---Waits. `fwx.sleep(0.2)`
---@param seconds number
function fwx.sleep(seconds) end

---Calls `fn` once, later. `fwx.after(5, reload)`
---@param seconds number
---@param fn fun()
---@return fwx.timer
function fwx.after(seconds, fn) end

---Calls `fn` again and again, at most once a millisecond; a call is left out while the one before
---it still runs. `fwx.every(60, report)`
---@param seconds number
---@param fn fun()
---@return fwx.timer
function fwx.every(seconds, fn) end

---Waits. Calls `fn(...)` and returns what that returns. When the time is up, the call in which `fn`
---waits raises an error, and with it `fn` ends; then it fails with `"timeout"`. See [time
---limits](docs/reference/lua.md#time-limits): `fwx.timeout(0.5, fwx.file.read, path)`.
---@param seconds number
---@param fn fun(...: any)
---@param ... any
---@return any ...
---@return string? message
---@return string? code
function fwx.timeout(seconds, fn, ...) end

---The verdict that answers a request in the server's place: `return fwx.respond(403,
---{["Content-Type"] = "text/plain"}, "no\n")`. For the headers see [tables of
---headers](docs/reference/lua.md#tables-of-headers). A file that is open for reading is sent from
---the disk as fast as the client takes it, and closed; with status 200 [as HTTP has
---it](http.md#files-as-answers): the part that `Range` asks for, or 304 if the client has it.
---@param status integer
---@param headers? table<string, fwx.bytes|number|string[]>
---@param body? fwx.bytes|fwx.file
---@return fwx.verdict
function fwx.respond(status, headers, body) end

---Waits. Connects to a server: `"tcp://host:port"`, `"tls://host:port"` or `"unix:/path"`. Wants an
---entry of `connect`. `"unknown"`: there is no such name; `"tls"`: there is no trust. See
---[sockets](docs/reference/lua.md#sockets) for the options.
---@param address string
---@param options? table
---@return fwx.socket?
---@return string? message
---@return string? code
function fwx.connect(address, options) end

---Seconds since 1970, with a fraction.
---@return number
function fwx.now() end

---Seconds since the gateway began; they never go backwards.
---@return number
function fwx.clock() end

---A variable of the environment that `env` in `[filter.allow]` lists: `env = ["API_KEY"]`; `nil` if
---it is not set.
---@param name string
---@return string?
---@return string? message
---@return string? code
function fwx.env(name) end

fwx.file = {}

---Waits. See [modes](docs/reference/lua.md#modes): `local f = assert(fwx.file.open("var/x", "w"))`.
---@param path string
---@param mode? "r"|"r+"|"w"|"w+"|"a"
---@return fwx.file?
---@return string? message
---@return string? code
function fwx.file.open(path, mode) end

---Waits. The content. `"EFBIG"`: larger than `limit`, at most and otherwise 64 MiB.
---@param path string
---@param limit? integer
---@return string?
---@return string? message
---@return string? code
function fwx.file.read(path, limit) end

---Waits. Writes a file beside the old one, `path.0.tmp` for instance, and renames it: readers find
---the old content or the new. A symbolic link is replaced by the file. What is there and no regular
---file, a FIFO for one, is written in place.
---@param path string
---@param data fwx.bytes
---@return true?
---@return string? message
---@return string? code
function fwx.file.write(path, data) end

---Waits. Both under the same entry of `write`, else `"EXDEV"`.
---@param from string
---@param to string
---@return true?
---@return string? message
---@return string? code
function fwx.file.rename(from, to) end

---Waits. Removes a file or an empty directory; wants `write`.
---@param path string
---@return true?
---@return string? message
---@return string? code
function fwx.file.remove(path) end

---Waits. The names in a directory, in order; up to 100,000, what is beyond is left out.
---@param path string
---@return string[]?
---@return string? message
---@return string? code
function fwx.file.list(path) end

---Waits. `mtime` in seconds since 1970; `type`: `"file"`, `"directory"`, `"fifo"`, `"socket"` or
---`"device"`. Links are followed. Wants `read` or `write`.
---@param path string
---@return {size: integer, mtime: number, type: string}?
---@return string? message
---@return string? code
function fwx.file.stat(path) end

---Waits. Makes a directory, with those above it that are missing; wants `write`. One that exists is
---no error.
---@param path string
---@return true?
---@return string? message
---@return string? code
function fwx.file.mkdir(path) end

---Waits. Calls `fn` when the file has changed, see [watches](docs/reference/lua.md#watches).
---@param path string
---@param fn fun(path: string)
---@return fwx.watch?
---@return string? message
---@return string? code
function fwx.file.watch(path, fn) end

fwx.log = {}

---Not shown by the program `fwx`.
---@param message fwx.bytes
---@param values? table<string, any>
function fwx.log.debug(message, values) end

---Writes a line.
---@param message fwx.bytes
---@param values? table<string, any>
function fwx.log.info(message, values) end

---Writes a line.
---@param message fwx.bytes
---@param values? table<string, any>
function fwx.log.warn(message, values) end

---Writes a line.
---@param message fwx.bytes
---@param values? table<string, any>
function fwx.log.error(message, values) end

fwx.json = {}

---Null, which a table can hold. It counts as true: compare with `==`.
---@type fwx.verdict
fwx.json.null = nil

---`fwx.json.encode({ id = conn.id })` gives `{"id":7}`. `"error"`: a value has no form in JSON.
---@param value any
---@return string?
---@return string? message
---@return string? code
function fwx.json.encode(value) end

---`fwx.json.decode('{"a":[1,null]}')`. `"error"`: the text is not JSON.
---@param text fwx.bytes
---@return any
---@return string? message
---@return string? code
function fwx.json.decode(text) end

---Makes a table, a new one if it is missing, an array for `fwx.json.encode`, even without elements:
---`fwx.json.encode({ tags = fwx.json.array() })` gives `{"tags":[]}`.
---@param list? table
---@return table
function fwx.json.array(list) end

fwx.ip = {}

---An address or network in its usual form: `fwx.ip.parse("10.1.2.3/8")` gives `"10.0.0.0/8"`.
---`"EINVAL"`: it is none.
---@param text string
---@return string?
---@return string? message
---@return string? code
function fwx.ip.parse(text) end

---A set of addresses and networks. `"EINVAL"`: an entry is none.
---@param list string[]
---@return fwx.set?
---@return string? message
---@return string? code
function fwx.ip.set(list) end

---Whether an address is in a network: `fwx.ip.contains("10.0.0.0/8", conn.client)`. For more than a
---few use a set. `"EINVAL"`: one of them is none.
---@param network string
---@param address string
---@return boolean?
---@return string? message
---@return string? code
function fwx.ip.contains(network, address) end

---`"EINVAL"`: it is none.
---@param address string
---@return 4|6|nil
---@return string? message
---@return string? code
function fwx.ip.version(address) end

---Whether it is in one of the networks for private use: `10.0.0.0/8`, `172.16.0.0/12`,
---`192.168.0.0/16`, `fc00::/7`.
---@param address string
---@return boolean?
---@return string? message
---@return string? code
function fwx.ip.is_private(address) end

---`127.0.0.0/8` or `::1`.
---@param address string
---@return boolean?
---@return string? message
---@return string? code
function fwx.ip.is_loopback(address) end

fwx.shared = {}

---The value of a key, `nil` if it has none. Waits.
---@param key fwx.bytes
---@return string|number|boolean|nil value
---@return string? message
---@return string? code
function fwx.shared.get(key) end

---Waits. Gives a key a value, for `ttl` seconds, or for ever without one.
---@param key fwx.bytes
---@param value fwx.bytes|number|boolean
---@param ttl? number
---@return true?
---@return string? message
---@return string? code
function fwx.shared.set(key, value, ttl) end

---Waits. Gives a key a value unless it has one: `false`. Of several at the same time one gets
---`true`.
---@param key fwx.bytes
---@param value fwx.bytes|number|boolean
---@param ttl? number
---@return boolean? added
---@return string? message
---@return string? code
function fwx.shared.add(key, value, ttl) end

---Waits. Adds to the number of a key, 1 if `by` is missing. A key without a value counts from 0 and
---expires `ttl` seconds from then; later calls do not put that off. `"EINVAL"`: the value is no
---number. `fwx.shared.incr("n:" .. conn.client, 1, 10)`
---@param key fwx.bytes
---@param by? number
---@param ttl? number
---@return number? sum
---@return string? message
---@return string? code
function fwx.shared.incr(key, by, ttl) end

---Waits. Compare and set: replaces the value `old` by `new`; `false` if the key has another value.
---As `old`, `nil` is no value; as `new` it removes the key. When the value expires does not change.
---@param key fwx.bytes
---@param old fwx.bytes|number|boolean|nil
---@param new fwx.bytes|number|boolean|nil
---@return boolean? done
---@return string? message
---@return string? code
function fwx.shared.cas(key, old, new) end

---Waits. Makes the value of a key expire `ttl` seconds from now, or never without one. `false`: it
---has no value.
---@param key fwx.bytes
---@param ttl? number
---@return boolean? found
---@return string? message
---@return string? code
function fwx.shared.expire(key, ttl) end

---Waits. Removes a key. `false`: it had no value.
---@param key fwx.bytes
---@return boolean? found
---@return string? message
---@return string? code
function fwx.shared.delete(key) end

fwx.metrics = {}

---Returns a number that only grows. The same name and labels are the same counter, on all workers
---and in all filters.
---@param name string
---@param labels? table<string, string|number|boolean>
---@param help? string
---@return fwx.counter
function fwx.metrics.counter(name, labels, help) end

---Returns a number that rises and falls, one for all workers.
---@param name string
---@param labels? table<string, string|number|boolean>
---@param help? string
---@return fwx.gauge
function fwx.metrics.gauge(name, labels, help) end

---Returns what counts values by their size: in buckets up to each of `bounds`, which suit seconds
---from 0.001 to 10 if missing.
---@param name string
---@param labels? table<string, string|number|boolean>
---@param help? string
---@param bounds? number[]
---@return fwx.histogram
function fwx.metrics.histogram(name, labels, help, bounds) end

fwx.dns = {}

---Waits. The addresses of a name, in the order in which they are to be tried; an address is its
---own. `timeout` in seconds, 10 if missing. `"unknown"`: there is no such name, or no address of
---it.
---@param name string
---@param options? {family?: "ip4"|"ip6", timeout?: number}
---@return string[]? addresses
---@return string? message
---@return string? code
function fwx.dns.lookup(name, options) end

---Waits. The names of an address. Whoever runs the address's zone can claim any name: look that up
---to check.
---@param address string
---@param options? {timeout?: number}
---@return string[]? names
---@return string? message
---@return string? code
function fwx.dns.reverse(address, options) end

fwx.http = {}

---Waits. Gets what is at a URL, `http` or `https`. Any status is a success.
---@param url string
---@param options? table
---@return {status: integer, headers: fwx.headers, body: string, url: string}?
---@return string? message
---@return string? code
function fwx.http.get(url, options) end

---Waits. Makes a request by the options `url`, `method` (`"GET"` if missing) and those of
---`fwx.http.get`.
---@param options table
---@return {status: integer, headers: fwx.headers, body: string, url: string}?
---@return string? message
---@return string? code
function fwx.http.request(options) end

fwx.frame = {}

---Makes an `on_data` of a function for lines. `\n` or `\r\n` ends a line and is not in it. `max`
---bytes, 8192 if missing, are the most that a line has, up to 1 MiB. See
---[records](docs/reference/lua.md#records).
---@param options {max?: integer, beyond?: "error"|"pass"}?
---@param fn fun(conn: fwx.conn, record: string, direction: fwx.direction, complete: boolean): fwx.bytes|fwx.verdict|nil
---@return fun(conn: fwx.conn, chunk: fwx.bytes, direction: fwx.direction): fwx.bytes|fwx.verdict
function fwx.frame.lines(options, fn) end

---Makes an `on_data` of a function for records that begin with their length. It has `size` bytes, 4
---if missing, and counts itself too if `itself` is true. `max` bytes, 65,536 if missing, are the
---most that a record has without its length, up to 1 MiB. See
---[records](docs/reference/lua.md#records).
---@param options {size?: 1|2|4|8, endian?: "big"|"little", itself?: boolean, max?: integer, beyond?: "error"|"pass"}?
---@param fn fun(conn: fwx.conn, record: string, direction: fwx.direction, complete: boolean): fwx.bytes|fwx.verdict|nil
---@return fun(conn: fwx.conn, chunk: fwx.bytes, direction: fwx.direction): fwx.bytes|fwx.verdict
function fwx.frame.length(options, fn) end

fwx.list = {}

---Waits. Reads a file of one entry a line, watches it, and reads it again when it has changed. See
---[lists](docs/reference/lua.md#lists).
---@param options {path: string, kind?: "cidr"|"host"|"exact"|"prefix"}
---@return fwx.list?
---@return string? message
---@return string? code
function fwx.list.open(options) end

fwx.bytes = {}

---The byte at a position. `nil` if they are not all there.
---@param data fwx.bytes
---@param at integer
---@return integer?
function fwx.bytes.u8(data, at) end

---Two bytes, the high one first. `nil` if they are not all there.
---@param data fwx.bytes
---@param at integer
---@return integer?
function fwx.bytes.u16(data, at) end

---Four bytes, the highest first. `nil` if they are not all there.
---@param data fwx.bytes
---@param at integer
---@return integer?
function fwx.bytes.u32(data, at) end

---Two bytes, the low one first. `nil` if they are not all there.
---@param data fwx.bytes
---@param at integer
---@return integer?
function fwx.bytes.u16le(data, at) end

---Four bytes, the lowest first. `nil` if they are not all there.
---@param data fwx.bytes
---@param at integer
---@return integer?
function fwx.bytes.u32le(data, at) end

fwx.re = {}

---An expression in the [syntax of RE2](https://golang.org/s/re2syntax), which is matched in linear
---time. Compiled ones are kept, so it may be called again and again. `"EINVAL"`: it is none, or too
---large: 4096 bytes, 2000 instructions.
---@param pattern fwx.bytes
---@return fwx.re?
---@return string? message
---@return string? code
function fwx.re.compile(pattern) end

fwx.base64 = {}

---With padding; `url_safe` has `-` and `_` for `+` and `/`, and no padding.
---@param data fwx.bytes
---@param url_safe? boolean
---@return string
function fwx.base64.encode(data, url_safe) end

---Either alphabet, with padding or without; line breaks are left out. `"EINVAL"`: it is none.
---@param text fwx.bytes
---@return string?
---@return string? message
---@return string? code
function fwx.base64.decode(text) end

fwx.hex = {}

---Two digits for each byte, in lower case.
---@param data fwx.bytes
---@return string
function fwx.hex.encode(data) end

---`"EINVAL"`: it is none.
---@param text fwx.bytes
---@return string?
---@return string? message
---@return string? code
function fwx.hex.decode(text) end

fwx.hash = {}

---In hexadecimal.
---@param data fwx.bytes
---@return string
function fwx.hash.md5(data) end

---In hexadecimal.
---@param data fwx.bytes
---@return string
function fwx.hash.sha1(data) end

---In hexadecimal.
---@param data fwx.bytes
---@return string
function fwx.hash.sha256(data) end

---In hexadecimal.
---@param data fwx.bytes
---@return string
function fwx.hash.sha512(data) end

---The checksum of zip and Ethernet.
---@param data fwx.bytes
---@return integer
function fwx.hash.crc32(data) end

fwx.hmac = {}

---In hexadecimal.
---@param key fwx.bytes
---@param data fwx.bytes
---@return string
function fwx.hmac.md5(key, data) end

---In hexadecimal.
---@param key fwx.bytes
---@param data fwx.bytes
---@return string
function fwx.hmac.sha1(key, data) end

---In hexadecimal.
---@param key fwx.bytes
---@param data fwx.bytes
---@return string
function fwx.hmac.sha256(key, data) end

---In hexadecimal.
---@param key fwx.bytes
---@param data fwx.bytes
---@return string
function fwx.hmac.sha512(key, data) end

---Compares in a time that does not depend on what is in them: for secrets and signatures.
---@param a fwx.bytes
---@param b fwx.bytes
---@return boolean
function fwx.hmac.equal(a, b) end

fwx.url = {}

---Takes a URL, absolute or relative, apart. `path`, `query` and `fragment` stay escaped.
---`"EINVAL"`: it is none.
---@param text fwx.bytes
---@return {scheme?: string, user?: string, password?: string, host?: string, port?: integer, path?: string, query?: string, fragment?: string}?
---@return string? message
---@return string? code
function fwx.url.parse(text) end

---The reverse. `"EINVAL"`: the parts make no URL that would be parsed into them.
---@param parts {scheme?: string, user?: string, password?: string, host?: string, port?: integer, path?: string, query?: string, fragment?: string}
---@return string?
---@return string? message
---@return string? code
function fwx.url.build(parts) end

---Escapes everything but letters, digits and `-._~`.
---@param text fwx.bytes
---@return string
function fwx.url.escape(text) end

---`+` stays. `"EINVAL"`: a `%` without two digits.
---@param text fwx.bytes
---@return string?
---@return string? message
---@return string? code
function fwx.url.unescape(text) end

---The values of each name of a query, or of a form, in their order; `+` is a space. At most 1000
---values. `"EINVAL"`: a wrong escape, or a `;`.
---@param query fwx.bytes
---@return table<string, string[]>?
---@return string? message
---@return string? code
function fwx.url.parse_query(query) end

---A query of names, in order, and values.
---@param values table<string, fwx.bytes|number|boolean|string[]>
---@return string
function fwx.url.encode_query(values) end

fwx.random = {}

---Up to 1 MiB that nobody can guess: for keys and names.
---@param n integer
---@return string
function fwx.random.bytes(n) end

---From `low` to `high`, both included, each as likely; nobody can guess it.
---@param low integer
---@param high integer
---@return integer
function fwx.random.integer(low, high) end

---From 0 up to but not 1, fast: for sampling. Not for secrets.
---@return number
function fwx.random.number() end

fwx.time = {}

---A time in UTC, now if it is missing: `"2026-03-01T12:00:00Z"`, with a fraction if there is one
---down to a millisecond, or as headers of HTTP have it, `"Sun, 01 Mar 2026 12:00:00 GMT"`.
---@param seconds? number
---@param form? "rfc3339"|"http"
---@return string
function fwx.time.format(seconds, form) end

---Seconds since 1970 of either form. `"EINVAL"`: it is none.
---@param text fwx.bytes
---@return number? seconds
---@return string? message
---@return string? code
function fwx.time.parse(text) end

fwx.bit = {}

---The bits that all numbers have.
---@param n integer
---@param ... integer
---@return integer
function fwx.bit.band(n, ...) end

---The bits that any number has.
---@param n integer
---@param ... integer
---@return integer
function fwx.bit.bor(n, ...) end

---The bits that an odd number of them have.
---@param n integer
---@param ... integer
---@return integer
function fwx.bit.bxor(n, ...) end

---The bits that a number does not have.
---@param n integer
---@return integer
function fwx.bit.bnot(n) end

---Shifts to the left. `by` is from 0 to 63.
---@param n integer
---@param by integer
---@return integer
function fwx.bit.lshift(n, by) end

---Shifts to the right, with zeroes coming in.
---@param n integer
---@param by integer
---@return integer
function fwx.bit.rshift(n, by) end

---Rotates to the left.
---@param n integer
---@param by integer
---@return integer
function fwx.bit.rol(n, by) end

return fwx
