package framework

import (
	"net/netip"

	"fwx/framework/completion"
)

// stream is one side of a connection as its flows use it: a *completion.Socket, or something
// built on one with the same contract, such as TLS. At most one receive and one send are in
// flight.
type stream interface {
	// Recv receives available data into a buffer of the port. At the end of the stream it
	// succeeds with 0 bytes.
	Recv(o *completion.Overlapped) error
	// Send sends all of data, which must not be changed until the send has completed.
	Send(o *completion.Overlapped, data []byte) error
	// CloseSend ends the sending side after what has been sent.
	CloseSend() error
	// Close closes both sides. Operations in flight complete, and what was sent still
	// arrives.
	Close() error
	// Reset is like Close, but the peer sees the connection reset.
	Reset() error
	Closed() bool
	// Acknowledged returns how many bytes of what was sent the peer has acknowledged, as
	// they are on the wire; false: that is not known.
	Acknowledged() (bytes uint64, ok bool)
	RemoteAddress() completion.Address
	LocalAddrPort() netip.AddrPort
}
