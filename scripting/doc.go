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
//	function M.on_end(conn, direction) end             -- the stream in a direction has ended; a string goes on before that
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
// therefore is a fiber: a Lua thread, which runs on a carrier, a coroutine of Go made
// by [iter.Pull]. A function that has to wait starts an overlapped operation on the
// worker and switches to the worker's loop; the completion of the operation switches
// back, and the function returns to the script. As the whole stack of the interpreter
// stays where it is, waiting works in a pcall, a metamethod, an iterator, a
// callback of sort or gsub, a tail call, and a coroutine of the script.
//
// Where nothing but Lua has led to the call, that stack holds nothing which the thread
// does not have too. A function that waits last of all then leaves the interpreter as a
// yield does, and the carrier with it: a handler that sleeps or reads takes 2.5 KiB and
// not 7. See pause, and the third decision.
//
// A worker is a goroutine locked to its thread, and switching between it and its
// carriers bypasses Go's scheduler: a handler that does not wait costs about 0.2 µs
// and no allocation. Fibers and carriers are kept for the next handler.
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
// that wants to keep data keeps tostring(chunk). While its handler waits a small chunk is
// moved out of the buffer, of which there are fewer than connections.
//
// A script that wants records instead makes its on_data with fwx.frame. What has
// come of a record is kept for each direction; at its end the framework asks the data
// filter (see framework.Ender) before the end goes on, so that nothing is lost.
//
// # Bindings
//
// Everything that scripts get of the host stands in tables of bindings, classes and
// handlers, with signatures and descriptions: of these the metatables are made, and
// by a test the lists in the reference page and the annotations in stubs/fwx.lua.
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
// # The network
//
// A script connects to what [Allow] lists, and what counts is the address, not the
// name that led there. Sockets are the port's own, on the worker of the fiber that
// waits for them. Their operations belong to the socket and not to that fiber, so one
// that gives up waiting loses nothing that comes later. TLS is crypto/tls on the same
// fiber, without a goroutine. The client of HTTP keeps connections for each state.
// Names are looked up by goroutines, at most 16 for each state.
//
// # Time limits
//
// One mechanism bounds all waiting: a fiber has a chain of limits, which fwx.timeout
// and the options of the functions of the network add to. When one expires, the fiber
// goes on without what it waits for: that is cancelled, and ends later on its own.
// What it waits with then must not be the script's any more, so a chunk is copied for
// an operation that has a limit.
//
// Functions that can fail return nil, a message and a code: the name of a system's
// error such as "ENOENT", or "denied", "aborted", "closed", "busy",
// "full", "timeout". Arguments of the wrong type and other misuse raise an error.
//
// fwx.list reads a file of entries off the worker and watches it: a new set takes the
// place of the old one, which stays if the file cannot be read.
//
// # The interpreter
//
// Scripts are compiled by gopher-lua, after a pass over the syntax tree (internal/syntax), and
// run in its states, by a loop of our own (internal/interp) that computes in about half the time. With
// [Settings].Interpreter "plain", and with a gopher-lua that the loop is not written for, its own runs them.
//
// # Limits
//
// Scripts are expected to be careless, not hostile. What they have of Lua's
// libraries is a list, compared with a golden file. A handler may run
// [Settings].Budget instructions without waiting, and one of a connection
// [Settings].EventBudget in all; the error that ends it cannot be
// caught for long, since it comes again with the next instruction. Functions whose
// work the interpreter does not see (copying, matching patterns, sorting) pay for
// it in instructions. A string has at most 64 MiB, ".." included, which is compiled
// into a call. What all of that misses ends after 5 seconds by the clock, and the
// log tells where after a tenth of a second. What a script keeps is counted by going
// through it, after a run of Go's collector that has left more than [Settings].Memory.
//
// # Reload
//
// A filter that is replaced goes on with its connections, and has its states until
// the last of them has ended. What the script does at intervals ends at once: tasks that the
// script or on_init has begun are marked as scheduled, timers and tasks inherit the mark, and
// with it no timer is set and no sleep begun any more.
//
// # Errors
//
// A handler that fails is logged with script, line, traceback and connection, up to
// ten times in ten seconds and filter; the others are counted. The connection then
// ends as failed, or goes on if on_error is "pass". An error that the script catches
// leaves the locals of the functions that go on as they are, see protect.go.
package scripting
