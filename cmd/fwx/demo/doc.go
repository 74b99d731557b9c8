// Package demo is the server behind the upstream "builtin:demo": a small HTTP/1.1
// server on a loopback port of its own, for trying the gateway without any other
// program.
//
//	/           what fwx is and what to try
//	/bytes/N    N bytes, 0 to 1 TiB, always the same ones: see [Bytes]
//	/echo       the body of the request, sent back while it still comes in
//	/slow/MS    an answer after MS milliseconds, 0 to 60000
//
// [Start] opens it, [Server.Addr] tells where it listens and [Server.Close] ends it.
package demo
