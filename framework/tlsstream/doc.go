// Package tlsstream is TLS over a socket of the completion port, by crypto/tls.
//
// A [Stream] is made with its handshake, by [Server] or [Client], and has the contract
// of a completion.Socket from then on: Recv, Send, CloseSend, Close and Reset, on its
// worker, each operation completing by an overlapped.
//
// # Where it runs
//
// The handshake is made by a goroutine, because that is what crypto/tls asks for and
// because it takes hundreds of microseconds, for which the other connections of the
// worker would wait. It works on a connection that blocks; what it reads and writes is
// received and sent by the worker.
//
// Afterwards there is no goroutine. The connection that crypto/tls then has answers
// os.ErrDeadlineExceeded when all ciphertext that has arrived is used up, which
// crypto/tls takes for a time-out: the record that it was about to read can go on
// later, wherever it was cut. What it writes is collected, and sent as one.
//
// # The end of a stream
//
// The peer's close_notify is the end of the stream. Where the connection ends without
// it, somebody may have cut the stream off, and a receive fails with [ErrTruncated].
// CloseSend sends close_notify and then ends the sending side of the socket; so does
// Close, which waits up to two seconds for the peer to take it.
package tlsstream
