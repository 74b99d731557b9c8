// Package coding takes the codings off content as its bytes arrive (Content-Encoding,
// RFC 9110, 8.4): gzip and deflate, and what else a program brings along, see
// [fwx/framework/wire/coding/brzstd]. It does no I/O: bytes in, bytes out.
//
// A [Decoder] is given what has been received, in pieces of any size, and returns what
// it stands for in pieces of at most 16 KiB, one a call, so that whoever calls decides
// how much of his time it gets. The result does not depend on where the pieces were cut.
//
// # Strictness
//
// What is incomplete or damaged is an error, and so is whatever stands behind the end of
// a coding: nothing is repaired, and nothing is left out. Content that is empty stands
// for nothing, although no coding of nothing is empty.
//
// # Bombs
//
// A few bytes may stand for gigabytes, so a Decoder has a limit. It counts what comes out
// of each of several codings.
//
// # How it works
//
// Decoders of Go ask for their input, and here it comes when it comes. So they run on a
// coroutine, which is switched to for the next piece of output and switches back where
// there is no more input. It is no business of Go's scheduler, but a Decoder must be used
// on one thread by goroutines that are locked to it, or by one goroutine.
package coding
