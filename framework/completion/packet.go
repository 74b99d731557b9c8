package completion

// PacketSocket is a UDP socket that the port owns. Any number of receives and
// sends may be in flight on it; each is one datagram.
type PacketSocket struct {
	descriptor
	local, remote Address
	wide          bool // of IPv6: IPv4 addresses are mapped
}

// packet is one datagram of an overlapped, kept with it and used again.
type packet struct {
	from      Address
	truncated bool
	sys       packetHeader
}

// ListenPacket opens a UDP socket that is bound to an address. Port 0 takes a
// free one; LocalAddress tells which.
func (w *Worker) ListenPacket(address Address) (*PacketSocket, error) {
	return w.openPacket(address, Address{})
}

// ConnectPacket opens a UDP socket that exchanges datagrams with one address
// only: SendTo takes the zero Address, and what others send is not received.
func (w *Worker) ConnectPacket(address Address) (*PacketSocket, error) {
	if !address.IsValid() {
		return nil, ErrInvalidArgument
	}
	return w.openPacket(Address{}, address)
}

func (w *Worker) openPacket(local, remote Address) (*PacketSocket, error) {
	w.checkThread()
	switch {
	case w.closing:
		return nil, ErrPortClosed
	case local.IsUnix() || remote.IsUnix() || local.IsValid() == remote.IsValid():
		return nil, ErrInvalidArgument
	}
	s := &PacketSocket{remote: remote}
	s.wide = local.Addr().Is6() || remote.Addr().Is6()
	s.readiness.cautious = true // there may be another datagram
	fd, bound, err := openPacketSocket(local, remote)
	if err != nil {
		return nil, err
	}
	s.local = bound
	if err := w.adopt(&s.descriptor, fd); err != nil {
		closeFD(fd)
		return nil, err
	}
	return s, nil
}

// LocalAddress returns the address that the socket is bound to.
func (s *PacketSocket) LocalAddress() Address { return s.local }

// RemoteAddress returns the address that the socket is connected to, the zero
// Address if it is not.
func (s *PacketSocket) RemoteAddress() Address { return s.remote }

// RecvFrom starts to receive one datagram into a buffer of the port, which is
// taken from the pool only when there is something to receive. It completes with
// the bytes received, Overlapped.From tells who sent them, and TakeBuffer has
// them; an empty datagram is a success with 0 bytes and no buffer. A datagram that
// is larger than Options.BufferSize completes with ErrTruncated and what fits.
func (s *PacketSocket) RecvFrom(o *Overlapped) error {
	if err := s.begin(o, opRecvFrom); err != nil {
		return err
	}
	if o.packet == nil {
		o.packet = new(packet)
	}
	o.packet.from, o.packet.truncated = Address{}, false
	s.worker.backend.start(o)
	return nil
}

// SendTo starts to send data, which may be empty, as one datagram. It belongs to
// the port until the completion and must not change. The address is that of the
// receiver, the zero Address on a connected socket.
func (s *PacketSocket) SendTo(o *Overlapped, data []byte, address Address) error {
	switch {
	case address.IsUnix(), address.IsValid() == s.remote.IsValid(),
		address.IsValid() && address.Addr().Is6() && !address.Addr().Is4In6() && !s.wide:
		return ErrInvalidArgument
	}
	if err := s.begin(o, opSendTo); err != nil {
		return err
	}
	if o.packet == nil {
		o.packet = new(packet)
	}
	o.buf = data
	o.packet.prepareSend(data, address, s.wide)
	s.worker.backend.start(o)
	return nil
}

// From returns who sent the datagram that a RecvFrom has received.
func (o *Overlapped) From() Address {
	if o.packet == nil {
		return Address{}
	}
	return o.packet.from
}
