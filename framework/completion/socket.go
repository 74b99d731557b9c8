package completion

import (
	"errors"
	"net/netip"

	"fwx/framework/completion/internal/memory"
)

// Socket is a connected stream socket that the port owns. At most one receive
// and one send are in flight on it, because a kernel may reorder more.
type Socket struct {
	descriptor
	remote Address
}

// Listener is a listening stream socket.
type Listener struct {
	descriptor
	address Address
}

// Accepted is a connection that a listener has accepted and that no worker
// has taken yet; any worker of the port may, by Attach.
type Accepted struct {
	fd     int
	Remote Address
}

// Listen opens a listening socket. A TCP port 0 takes a free one; Address
// tells which. A unix socket is removed when the listener is closed; one that was
// left behind, and that nobody answers on, is replaced.
func (w *Worker) Listen(address Address) (*Listener, error) {
	w.checkThread()
	if w.closing {
		return nil, ErrPortClosed
	}
	fd, bound, err := w.listen(address)
	if err != nil {
		return nil, err
	}
	l := &Listener{address: bound}
	l.socket = true
	if err := w.adopt(&l.descriptor, fd); err != nil {
		closeSocket(fd)
		return nil, err
	}
	if address.IsUnix() {
		l.onClosed = removeSocket(address.Path)
	}
	return l, nil
}

// Address returns the address that the listener listens on.
func (l *Listener) Address() Address { return l.address }

// Accept starts to accept one connection; TakeValue is the Accepted, which
// must be attached or discarded.
func (l *Listener) Accept(o *Overlapped) error {
	return l.startAlone(o, opAccept)
}

// Attach makes an accepted connection a socket of this worker.
func (w *Worker) Attach(a Accepted) (*Socket, error) {
	w.checkThread()
	if w.closing {
		a.Discard()
		return nil, ErrPortClosed
	}
	s := &Socket{remote: a.Remote}
	s.socket = true
	// A receive from a unix socket also stops short where a descriptor was passed.
	s.readiness.cautious = !a.Remote.IsValid()
	if err := w.adopt(&s.descriptor, a.fd); err != nil {
		if !errors.Is(err, ErrAlreadyHooked) { // then it is someone's socket
			a.Discard()
		}
		return nil, err
	}
	return s, nil
}

// Discard resets an accepted connection that nobody attaches.
func (a Accepted) Discard() {
	setLinger(a.fd)
	closeSocket(a.fd)
}

// Connect starts to connect a new socket to an address; TakeValue is the *Socket.
func (w *Worker) Connect(o *Overlapped, address Address) error {
	if err := w.check(o, nil); err != nil {
		return err
	}
	fd, err := w.connectSocket(address)
	if err != nil {
		return err
	}
	s := &Socket{remote: address}
	s.socket = true
	s.readiness.cautious = address.IsUnix()
	if err := w.adopt(&s.descriptor, fd); err != nil {
		closeSocket(fd)
		return err
	}
	s.readiness.writable = false // until it is connected
	if err := s.begin(o, opConnect); err != nil {
		_ = s.Close() // it was just opened
		return err
	}
	o.value = s
	w.backend.start(o)
	return nil
}

// settleConnect gives up a socket that could not be connected.
func (w *Worker) settleConnect(o *Overlapped) {
	if o.err == nil {
		return
	}
	if s, ok := o.value.(*Socket); ok && !s.closed {
		s.closed = true // the operation still counts; finish closes it
	}
	o.value = nil
}

// Recv starts to receive into a buffer of the port, which is taken from the
// pool only when there is something to receive. It completes with the bytes
// received, and TakeBuffer has them; at the end of the stream it succeeds with
// 0 bytes and no buffer. Urgent data arrives in its place in the stream, but on
// Windows not at all.
func (s *Socket) Recv(o *Overlapped) error {
	if s.busy(opSpliceIn) {
		return ErrBusy
	}
	return s.startAlone(o, opRecv)
}

// Send starts to send all of data, which belongs to the port until the
// completion and must not change. On failure the count tells how much the
// system had taken.
func (s *Socket) Send(o *Overlapped, data []byte) error {
	if len(data) == 0 {
		return ErrInvalidArgument
	}
	if s.busy(opSend) || s.busy(opSpliceOut) {
		return ErrBusy
	}
	if err := s.begin(o, opSend); err != nil {
		return err
	}
	o.buf = data
	s.worker.backend.start(o)
	return nil
}

// startAlone starts an operation of which only one may be in flight.
func (d *descriptor) startAlone(o *Overlapped, op opKind) error {
	if d.busy(op) {
		return ErrBusy
	}
	if err := d.begin(o, op); err != nil {
		return err
	}
	d.worker.backend.start(o)
	return nil
}

// busy reports whether an operation of this kind is in flight. What is closed is
// not busy but closed.
func (d *descriptor) busy(op opKind) bool {
	if d.closed {
		return false
	}
	for o := d.first; o != nil; o = o.next {
		if o.op == op {
			return true
		}
	}
	return false
}

// CloseSend ends the sending side, so that the peer sees the end of the stream.
func (s *Socket) CloseSend() error {
	if s.closed {
		return ErrHandleClosed
	}
	return shutdownSend(s.fd)
}

// Reset closes the socket abortively: the peer of a TCP connection gets an RST.
func (s *Socket) Reset() error {
	s.reset = true
	return s.Close()
}

// Acknowledged returns how many of the bytes sent the peer has acknowledged. The others are
// still in the system's send buffer or in transit. It returns false if the system does not
// report this: only Linux does, for TCP.
func (s *Socket) Acknowledged() (bytes uint64, ok bool) {
	if s.fd < 0 {
		return 0, false
	}
	if m := memory.Of(s.fd); m != nil {
		return m.Acknowledged(), true
	}
	return acknowledged(s.fd)
}

// RemoteAddress returns the address of the peer.
func (s *Socket) RemoteAddress() Address { return s.remote }

// LocalAddrPort returns the local address of a TCP socket, the zero AddrPort otherwise.
func (s *Socket) LocalAddrPort() netip.AddrPort {
	if s.fd < 0 {
		return netip.AddrPort{}
	}
	return localAddrPort(s.fd)
}
