// Package websocket takes the stream of a WebSocket apart as its bytes arrive, and puts
// frames together again (RFC 6455, RFC 7692). It does no I/O: bytes in, values out.
//
// A [Reader] is one direction. It is given what has been received, in pieces of any
// size, and returns messages: those of data joined from their fragments, unmasked and
// decompressed, and control messages as they come, also between two fragments. The
// result does not depend on where the pieces were cut.
//
// # Strictness
//
// What RFC 6455 forbids is an [*Error] with the code that the connection is closed
// with: reserved bits and opcodes, a mask that is missing or should not be there, a
// length that is not written in its shortest form, a control frame that is fragmented
// or longer than 125 bytes, a continuation of nothing, a message inside another, text
// that is not UTF-8, a close code that must not be sent.
//
// # Compression
//
// Of extensions only permessage-deflate is understood; [Offer] leaves no other in what a
// client asks for. Everything that its parameters may ask of a receiver is done. A sender
// here compresses each message by itself, which every receiver can read, whatever was
// agreed on; one that is longer than the receiver's window goes as it is ([Deflater]).
//
// # Memory
//
// A message is gathered up to a limit, before and after it is decompressed, in memory
// that is kept for the next if it is small.
package websocket
