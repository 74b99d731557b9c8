package fake

import (
	"errors"
	"net/netip"
	"syscall"

	"fwx/framework/completion"
	"fwx/framework/completion/internal/memory"
)

// Dial connects to a listener of the machine, from an address elsewhere. Without an IP
// address it is the machine's own, and port 0 takes a free one.
func (m *Machine) Dial(from netip.AddrPort, to completion.Address) (*Socket, error) {
	fd, err := m.system.ConnectFrom(from, toMemory(to))
	if err != nil {
		return nil, err
	}
	return &Socket{fd: fd}, nil
}

// Listen lets the test play a server. Port 0 takes a free one.
func (m *Machine) Listen(at completion.Address) (*Listener, error) {
	fd, err := m.system.Listen(toMemory(at))
	if err != nil {
		return nil, err
	}
	return &Listener{fd}, nil
}

// FailConnect has connects to an address fail with err, or never be answered if it is
// nil, until MendConnect.
func (m *Machine) FailConnect(to completion.Address, err error) {
	m.system.FailConnect(toMemory(to), err)
}

// MendConnect ends what FailConnect has begun.
func (m *Machine) MendConnect(to completion.Address) { m.system.MendConnect(toMemory(to)) }

func toMemory(a completion.Address) memory.Address {
	return memory.Address{AddrPort: a.AddrPort, Path: a.Path}
}

// Listener is a server that the test plays.
type Listener struct{ fd *memory.FD }

// Accept takes a connection that waits; false if none does.
func (l *Listener) Accept() (*Socket, bool) {
	fd, err := l.fd.Accept()
	if err != nil {
		return nil, false
	}
	return &Socket{fd: fd}, true
}

// Close ends the listening; connections that wait are reset.
func (l *Listener) Close() { l.fd.Close() }

// Socket is the test's end of a connection. Nothing on it waits.
type Socket struct {
	fd     *memory.FD
	closed bool
}

// Local returns the socket's own address.
func (s *Socket) Local() netip.AddrPort { return s.fd.Local().AddrPort }

// Remote returns the address of the other end.
func (s *Socket) Remote() netip.AddrPort { return s.fd.Remote().AddrPort }

var (
	// ErrEmpty says that there is nothing to receive yet.
	ErrEmpty = errors.New("nothing has come")
	// ErrFull says that there is no room for more.
	ErrFull = errors.New("the other end has not received what was sent")
	// ErrClosed says that the test has closed the socket.
	ErrClosed = errors.New("the socket is closed")
)

// Receive takes what has come. It is ErrEmpty if that is nothing; 0 bytes is the end.
func (s *Socket) Receive(p []byte) (int, error) {
	if s.closed {
		return 0, ErrClosed
	}
	n, err := s.fd.Read(p)
	if errors.Is(err, syscall.EAGAIN) {
		err = ErrEmpty
	}
	return n, err
}

// Send sends as much as there is room for. It is ErrFull if there is none.
func (s *Socket) Send(p []byte) (int, error) {
	if s.closed {
		return 0, ErrClosed
	}
	n, err := s.fd.Write(p)
	if errors.Is(err, syscall.EAGAIN) {
		err = ErrFull
	}
	return n, err
}

// CloseSend ends what is sent; the other end can still send.
func (s *Socket) CloseSend() error {
	if s.closed {
		return ErrClosed
	}
	return s.fd.CloseSend()
}

// Close closes the socket.
func (s *Socket) Close() {
	s.closed = true
	s.fd.Close()
}

// Reset closes it so that the other end sees a reset.
func (s *Socket) Reset() {
	if !s.closed {
		s.fd.SetLinger()
	}
	s.Close()
}
