package memory

import (
	"net/netip"
	"syscall"
)

// stream is one direction of a socket, or a pipe.
type stream struct {
	data           []byte
	read           uint64 // number of bytes that have been read
	ended          bool   // the writer has finished
	abandoned      bool   // the reader is gone
	reset          bool
	reader, writer *FD
}

const (
	// streamSize is how many bytes a stream holds.
	streamSize = 64 << 10
	// backlogSize is how many connections wait to be accepted.
	backlogSize = 4 << 10
)

// Pipe returns the two ends of a pipe.
func (s *System) Pipe() (read, write *FD) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &stream{}
	p.reader, p.writer = s.add(&FD{in: p}), s.add(&FD{out: p})
	return p.reader, p.writer
}

// Pair returns two sockets that are connected.
func (s *System) Pair() (a, b *FD) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pair(Address{}, Address{})
}

func (s *System) pair(local, remote Address) (a, b *FD) {
	there, back := &stream{}, &stream{}
	a = s.add(&FD{socket: true, in: back, out: there, local: local, remote: remote})
	b = s.add(&FD{socket: true, in: there, out: back, local: remote, remote: local})
	there.writer, there.reader, back.writer, back.reader = a, b, b, a
	return a, b
}

// Listen listens on an address; port 0 takes a free one.
func (s *System) Listen(address Address) (*FD, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(address.Path) > 107 {
		return nil, syscall.EINVAL
	}
	if address.Path == "" && address.AddrPort.Port() == 0 {
		address.AddrPort = s.freePort(address.AddrPort.Addr())
	}
	if s.listeners[address] != nil {
		return nil, syscall.EADDRINUSE
	}
	fd := s.add(&FD{listening: true, local: address})
	s.listeners[address] = fd
	return fd, nil
}

func (s *System) freePort(ip netip.Addr) netip.AddrPort {
	s.lastPort = max(s.lastPort+1, 1<<15)
	return netip.AddrPortFrom(ip, s.lastPort)
}

// way is how a connect to an address goes.
type way struct {
	err  error
	mute bool
}

// FailConnect has connects to an address fail; a nil error: nobody answers them.
// MendConnect ends it.
func (s *System) FailConnect(to Address, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ways[to] = way{err, err == nil}
}

// MendConnect ends what FailConnect has begun.
func (s *System) MendConnect(to Address) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ways, to)
}

// Connect connects to an address, where somebody listens.
func (s *System) Connect(to Address) (*FD, error) { return s.ConnectFrom(netip.AddrPort{}, to) }

// ConnectFrom is Connect from an address; without an IP address it is Home, port 0
// takes a free one.
func (s *System) ConnectFrom(from netip.AddrPort, to Address) (*FD, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w, ok := s.ways[to]; ok {
		return s.add(&FD{socket: true, in: &stream{}, out: &stream{}, remote: to, error: w.err, mute: w.mute}), nil
	}
	l := s.listeners[to]
	switch {
	case l == nil && to.Path != "":
		return nil, syscall.ENOENT
	case l == nil || len(l.backlog) >= backlogSize:
		return nil, syscall.ECONNREFUSED
	}
	var local Address
	if to.Path == "" {
		local.AddrPort = s.source(from, to.AddrPort.Addr())
	}
	client, server := s.pair(local, to)
	l.backlog = append(l.backlog, server)
	l.wake()
	return client, nil
}

// source completes the address that a socket connects from.
func (s *System) source(from netip.AddrPort, to netip.Addr) netip.AddrPort {
	addr := from.Addr()
	switch {
	case addr.IsValid():
	case s.Home.IsValid() && s.Home.Is4() == to.Is4():
		addr = s.Home
	default:
		addr = to
	}
	if from.Port() == 0 {
		return s.freePort(addr)
	}
	return netip.AddrPortFrom(addr, from.Port())
}

// Connected returns how a connect went: EAGAIN means that nobody has answered.
func (fd *FD) Connected() error {
	if fd.mute {
		return syscall.EAGAIN
	}
	return fd.error
}

// Accept takes a connection that waits.
func (fd *FD) Accept() (*FD, error) {
	fd.system.mu.Lock()
	defer fd.system.mu.Unlock()
	switch {
	case !fd.listening:
		return nil, syscall.EINVAL
	case len(fd.backlog) == 0:
		return nil, syscall.EAGAIN
	}
	accepted := fd.backlog[0]
	fd.backlog = fd.backlog[1:]
	return accepted, nil
}

// Read reads from a stream; 0 bytes is its end.
func (fd *FD) Read(p []byte) (int, error) {
	fd.system.mu.Lock()
	defer fd.system.mu.Unlock()
	from := fd.in
	switch {
	case from == nil:
		return 0, syscall.EBADF
	case len(from.data) == 0 && from.reset:
		return 0, syscall.ECONNRESET
	case len(from.data) == 0 && from.ended:
		return 0, nil
	case len(from.data) == 0:
		return 0, syscall.EAGAIN
	}
	n := copy(p, from.data)
	from.data = append(from.data[:0], from.data[n:]...)
	from.read += uint64(n)
	from.writer.wake()
	return n, nil
}

// Write writes as much to a stream as there is room for.
func (fd *FD) Write(p []byte) (int, error) {
	fd.system.mu.Lock()
	defer fd.system.mu.Unlock()
	to := fd.out
	switch {
	case to == nil:
		return 0, syscall.EBADF
	case to.abandoned && to.reset:
		return 0, syscall.ECONNRESET
	case to.ended, to.abandoned:
		return 0, syscall.EPIPE
	case len(to.data) == streamSize:
		return 0, syscall.EAGAIN
	}
	n := min(len(p), streamSize-len(to.data))
	to.data = append(to.data, p[:n]...)
	to.reader.wake()
	return n, nil
}

// Acknowledged returns how many bytes of what was written to a socket have been read.
func (fd *FD) Acknowledged() uint64 {
	fd.system.mu.Lock()
	defer fd.system.mu.Unlock()
	return fd.out.read
}

// CloseSend ends what is sent on a socket.
func (fd *FD) CloseSend() error {
	fd.system.mu.Lock()
	defer fd.system.mu.Unlock()
	if !fd.socket {
		return syscall.ENOTSOCK
	}
	fd.out.ended = true
	fd.out.reader.wake()
	return nil
}
