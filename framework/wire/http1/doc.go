// Package http1 takes HTTP/1.0 and HTTP/1.1 messages apart as their bytes arrive, and
// puts them together again (RFC 9110, RFC 9112). It does no I/O: bytes in, values out.
//
// A [Request] or a [Response] is the head of a message. Its Parse is given what has
// been received, in pieces of any size, and says how much of it belonged to the head.
// [Body] then takes apart what follows. The result does not depend on where the pieces
// were cut.
//
// # Strictness
//
// Two readers that disagree on where a message ends can be made to take one request
// for two. So nothing that readers are known to disagree on is accepted, even where
// RFC 9112 allows a recipient to repair it: a line that ends with LF alone, CR or NUL
// anywhere else, a folded field line, a space before the colon, Content-Length beside
// Transfer-Encoding, several or malformed lengths, transfer codings other than a single
// "chunked", chunk sizes with signs or spaces, a missing, repeated or malformed Host, a
// Host that contradicts the target. Each is an [*Error] with the status that a server
// answers it with.
//
// # Memory
//
// A head keeps its text and its fields in memory that Reset leaves in place, so that
// a message after the first allocates nothing. What Parse is given is copied; a Body
// returns slices of what it is given. [Limits] bounds it all.
package http1
