// Package clienthello takes the first message of a TLS client apart as its bytes
// arrive (RFC 8446, section 4.1.2; RFC 5246, section 7.4.1.2). It does no I/O: bytes
// in, values out.
//
// A [Parser] is given what has been received, in pieces of any size, and says when the
// message is whole; its [Hello] then has what the client offers, among it the name of
// the server that it wants and its [Hello.JA4] fingerprint. The result does not depend
// on where the pieces were cut, nor on how the message was spread over records.
//
// # Strictness
//
// Whatever crypto/tls refuses is refused, so that a gateway that has looked at a hello
// and the TLS server that then answers it cannot understand two different things. Some
// more is: records that are empty or hold something behind the hello, and names that
// are no names of hosts. Each mistake is an [*Error] with the alert that a server
// answers it with.
//
// # Memory
//
// The message may have [MaxMessage] bytes, and 64 records. What was received is kept
// and can be had from [Parser.Received], because whoever takes the connection over has
// to be given it from its beginning.
package clienthello
