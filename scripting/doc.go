// Package scripting runs Lua scripts as filters: the kind "lua" of [Factory], or
// [New] for a host program.
//
// A script returns a table of handlers:
//
//	local fwx = require "fwx"
//	local M = {}
//	function M.on_init(config) end                     -- once a worker; an error refuses the start
//	function M.on_connect(conn) end                    -- nil: allow; fwx.deny("why"): refuse
//	function M.on_data(conn, chunk, direction) end     -- nil: pass; a string: send it instead; fwx.drop; fwx.deny("why")
//	function M.on_close(conn) end                      -- the connection has ended
//	function M.on_shutdown() end                       -- once a worker
//	return M
//
// Only handlers that exist are subscribed to: a script without on_data is no part
// of the path that data takes.
//
// # States
//
// Each worker has a Lua state of its own for each script, made from code that is
// compiled once. Everything of a state happens on its worker, so neither the
// scripts nor this package need locks; and what scripts share between workers goes
// through the session, which takes strings, numbers and booleans only.
//
// # Fibers
//
// A handler may call functions that wait (for a file, a time, room in a queue)
// wherever it likes, and while it waits its worker serves others. Every handler
// therefore runs on a fiber: a coroutine of Go made by [iter.Pull], with a Lua
// thread. A function that has to wait starts an overlapped operation on the worker
// and switches to the worker's loop; the completion of the operation switches back,
// and the function returns to the script. As the whole stack of the interpreter
// stays where it is, waiting works in a pcall, a metamethod, an iterator, a
// callback of sort or gsub, a tail call, and a coroutine of the script. No yield
// of Lua is involved.
//
// A worker is a goroutine locked to its thread, and switching between it and its
// fibers bypasses Go's scheduler: a handler that does not wait costs about 0.2 µs
// and no allocation. Fibers are kept for the next handler.
//
// While an event or a chunk waits for its handler, the framework holds the
// connection or its direction. If the connection ends meanwhile, what the handler
// waits for is cancelled and the call raises "connection ended", once that has
// really ended: until then the operation owns its buffer. on_close still runs, and
// has 25 seconds; after that the connection ends without it.
//
// # Chunks
//
// A chunk is a view of the buffer that the data was received into, not a copy. It
// is valid until its handler returns, and taken wherever a string is. There is one
// object for each direction of a connection, used again for each chunk: a script
// that wants to keep data keeps tostring(chunk).
//
// # Files
//
// A script opens what [Allow] lists and nothing else. Each entry is a directory, or
// a single file, whose directory is opened when the filter starts; paths are
// resolved beneath it by the kernel, so that neither "..", nor a symbolic link, nor
// an absolute path leads out. A file that a handler of a connection opens is closed
// with that connection if the script has not done so; a file opened elsewhere, in
// on_init for one, lasts until the filter ends or the script has lost it.
// fwx.file.write writes a file beside the old one and renames it, so that readers
// find the one or the other.
//
// Functions that can fail return nil, a message and a code: the name of a system's
// error such as "ENOENT", or "denied", "aborted", "closed", "busy",
// "full". Arguments of the wrong type and other misuse raise an error.
//
// # Limits
//
// Scripts are expected to be careless, not hostile. What they have of Lua's
// libraries is a list, compared with a golden file. A handler may run
// [Settings].Budget instructions without waiting; the error that ends it cannot be
// caught for long, since it comes again with the next instruction. Functions whose
// work the interpreter does not see (copying, matching patterns, sorting) pay for
// it in instructions. A string has at most 64 MiB, ".." included, which is compiled
// into a call. What all of that misses ends after 5 seconds by the clock, and the
// log tells where after a tenth of a second. There is no bound on what a script
// keeps in its variables.
//
// # Errors
//
// A handler that fails is logged with script, line, traceback and connection, up to
// ten times in ten seconds and filter; the others are counted. The connection then
// ends as failed, or goes on if on_error is "pass".
package scripting
