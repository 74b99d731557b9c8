// Package completion is a completion port: one queue on which all I/O of a
// service completes (sockets, files, pipes, timers and posted tasks) and the
// workers that take completions off it and call their handlers.
//
// # Run to completion
//
// A [Worker] is one thread with one loop. A turn of it takes a batch of
// completions, calls the handler of each to its end, fires the timers that are
// due, and hands everything that the handlers started to the system with one
// call. There is no goroutine for a connection and no channel between the
// system and a handler. A handler must not block: what is slow goes to
// [Worker.RunBlocking], and completes like any other operation. Code that cannot
// be had otherwise blocks between [Worker.StartHeavyBlockingOperation] and
// [Worker.EndHeavyBlockingOperation], while a stand-in serves the worker.
//
// # Affinity
//
// Everything belongs to the worker that made it, for life: handles, sockets,
// overlapped operations, timers, watches, buffers. It is started, cancelled
// and closed on that worker only, and its handlers run there, one at a time, so
// none of it needs a lock. From elsewhere [Worker.Post], [Worker.Call] and
// [Worker.PostTaskCompletion] lead there. Under the race detector a use on
// another thread panics. Safe on all workers are a [Port], a [Root], an
// [Accepted] connection that goes from the worker that accepted it to the one
// that attaches it, and an [Appender].
//
// # An operation
//
// An [Overlapped] is one operation, to be used again and again. It is given a
// notification and a user context by [Overlapped.SetNotificationInterface] and
// started by a method of what it concerns ([Handle.ReadFile], [Socket.Recv],
// [Listener.Accept], [Worker.OpenFile] and so on). From the start until the
// notification the operation and its buffer belong to the port. In the
// notification, and after it, they are the caller's again; it may start the
// same overlapped anew. What an operation brings is taken from it: received
// bytes by [Overlapped.TakeBuffer], which must be released, anything else by
// [Overlapped.TakeValue].
//
// A [Handle] is any descriptor, opened by [Worker.OpenFile] or hooked by
// [Worker.HookToCompletionPort]. It belongs to the port from then on, which
// closes it after [Handle.Close] and the last completion, or at its own end.
// A [Socket] is one that the port has opened; bulk data can go from one to
// another through a [Pipe] in the kernel. A [PacketSocket] is one for datagrams.
//
// # What holds on every backend
//
//  1. Each operation that was accepted completes exactly once: success,
//     failure, cancelled, or shut down.
//  2. The notification is told success, bytes, error, the overlapped, and the
//     context that was set for it, unchanged.
//  3. A start that fails returns its error and is not notified. A start that
//     succeeds at once is queued; no notification is called within a start.
//  4. The buffer and the overlapped belong to the port until the notification
//     has been called. Closing a handle does not end its operations: each
//     still completes.
//  5. Cancelling is a request. The completion still comes, and is a success if
//     the operation won.
//  6. The end of a file is an error, [ErrHandleEOF]; a short read before it is a
//     success. The end of a socket's stream is a receive of 0 bytes.
//  7. A panic in a handler is logged and counted. It loses no other completion
//     and no worker.
//  8. [Port.Shutdown] refuses new starts, cancels what is in flight, delivers
//     every completion and task, writes what is queued for appending, and
//     closes what is open. What the system does not give back in time is left
//     alone, memory included, and reported as [ErrLeaked].
//
// Package completiontest is the suite that holds each backend to it, with and
// without injected faults; docs/reference/conformance.md tells how to run it. Package
// fake has a port in memory for the tests of what uses one.
//
// # Errors
//
// The package's own errors are variables, to be told apart by errors.Is. Errors
// of the operating system are syscall.Errno values, wrapped with the path or
// the address where a name was given. An operation that failed tells how many
// bytes it had written or sent.
//
// # Limits
//
// [Options] bounds the operations in flight, the receive buffers, the threads
// and the bytes that wait to be appended. A receive takes a buffer only when
// there is something to receive, so connections that are idle hold none; when
// all are in use, receives wait in turn until one is released.
//
// # Backends
//
// On Linux these are io_uring (6.1 or later) and epoll, for systems that refuse
// io_uring, as the usual seccomp profiles of containers do. "auto" takes the
// first that passes a self-test; [Port.Info] tells which, and why not another.
// Every Unix has poll, and macOS and the BSDs have nothing else: there are no pipes
// to splice through there, and a file that is watched is looked at again and again.
// On Windows it is iocp, an I/O completion port for each worker. There a handle
// to be hooked must have been opened for overlapped operations, and there are
// neither unix sockets nor pipes to splice through.
// What the system cannot do without blocking, on Windows any write to a file, is
// done by a pool of threads, in lanes: operations on a file or directory that hangs
// wait for each other, not for the rest.
package completion
