package framework

import (
	"net/netip"

	"fwx/framework/completion"
)

// stream is one side of a connection as its flows use it: a *completion.Socket, or
// something that stands on one and has the same contract, TLS for instance. At most
// one receive and one send are in flight on it.
type stream interface {
	// Recv receives what there is into a buffer of the port; at the end of the stream
	// it succeeds with 0 bytes.
	Recv(o *completion.Overlapped) error
	// Send sends all of data, which must not change until the completion.
	Send(o *completion.Overlapped, data []byte) error
	// CloseSend ends the sending side behind what has been sent.
	CloseSend() error
	// Close ends both; what is in flight completes, and what was sent still arrives.
	Close() error
	// Reset is Close so that the peer sees that it was broken off.
	Reset() error
	Closed() bool
	RemoteAddress() completion.Address
	LocalAddrPort() netip.AddrPort
}
