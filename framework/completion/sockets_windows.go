package completion

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/windows"

	"fwx/framework/completion/internal/memory"
)

// startWinsock makes sockets available to the process.
var startWinsock = sync.OnceValue(func() error {
	var data windows.WSAData
	return windows.WSAStartup(0x0202, &data)
})

const (
	errWouldBlock = windows.WSAEWOULDBLOCK
	fionbio       = 0x8004667E // the ioctl for non-blocking mode
)

func closeSocket(fd int) {
	if !memory.Close(fd) {
		_ = windows.Closesocket(windows.Handle(fd)) // nothing can be done about a failure
	}
}

// setLinger makes the coming close send an RST.
func setLinger(fd int) {
	if m := memory.Of(fd); m != nil {
		m.SetLinger()
		return
	}
	_ = windows.SetsockoptLinger(windows.Handle(fd), windows.SOL_SOCKET, windows.SO_LINGER, &windows.Linger{Onoff: 1}) // only TCP has one
}

func shutdownSend(fd int) error {
	if m := memory.Of(fd); m != nil {
		return m.CloseSend()
	}
	return systemError(windows.Shutdown(windows.Handle(fd), windows.SHUT_WR))
}

// recvNow receives what there is, without waiting.
func recvNow(fd int, mem []byte) (int, error) {
	buf := windows.WSABuf{Len: uint32(len(mem)), Buf: unsafe.SliceData(mem)}
	var n, flags uint32
	err := windows.WSARecv(windows.Handle(fd), &buf, 1, &n, &flags, nil, nil)
	return int(n), err
}

const listenBacklog = 4096

// errUnixSockets answers the address of a unix socket.
var errUnixSockets = fmt.Errorf("unix sockets are not supported on this system: %w", errors.ErrUnsupported)

func listen(address Address) (int, Address, error) {
	fd, err := newSocket(address)
	if err == nil {
		if err = windows.Bind(fd, toSockaddr(address)); err == nil {
			err = windows.Listen(fd, listenBacklog)
		}
		if err != nil {
			closeSocket(int(fd))
		}
	}
	if err != nil {
		return 0, Address{}, fmt.Errorf("listen on %s: %w", address, systemError(err))
	}
	address.AddrPort = localAddrPort(int(fd))
	return int(fd), address, nil
}

// removeSocket would remove a unix socket, of which there are none.
func removeSocket(string) func() { return nil }

// connectSocket opens a socket to be connected.
func connectSocket(address Address) (int, error) {
	fd, err := newSocket(address)
	if err != nil {
		return 0, err
	}
	// ConnectEx wants a socket that is bound.
	if err := windows.Bind(fd, toSockaddr(Address{AddrPort: netip.AddrPortFrom(unspecified(address), 0)})); err != nil {
		closeSocket(int(fd))
		return 0, os.NewSyscallError("bind", systemError(err))
	}
	return int(fd), nil
}

func unspecified(a Address) netip.Addr {
	if a.Addr().Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

func newSocket(address Address) (windows.Handle, error) {
	if address.IsUnix() {
		return 0, errUnixSockets
	}
	return socket(family(address))
}

// family returns the address family of the socket for an address.
func family(address Address) int32 {
	if address.Addr().Is4() {
		return windows.AF_INET
	}
	return windows.AF_INET6
}

// socket opens a stream socket as the port has them.
func socket(family int32) (windows.Handle, error) {
	fd, err := openSocket(family, windows.SOCK_STREAM)
	if err != nil {
		return 0, err
	}
	if err := prepareSocket(fd); err != nil {
		closeSocket(int(fd))
		return 0, err
	}
	return fd, nil
}

// openSocket opens a socket for streams or datagrams, in blocking mode.
func openSocket(family, kind int32) (windows.Handle, error) {
	if err := startWinsock(); err != nil {
		return 0, err
	}
	fd, err := windows.WSASocket(family, kind, 0, nil, 0,
		windows.WSA_FLAG_OVERLAPPED|windows.WSA_FLAG_NO_HANDLE_INHERIT)
	if err != nil {
		return 0, os.NewSyscallError("socket", systemError(err))
	}
	if family == windows.AF_INET6 {
		_ = windows.SetsockoptInt(fd, windows.IPPROTO_IPV6, windows.IPV6_V6ONLY, 0) // [::] is for both, as elsewhere
	}
	return fd, nil
}

// prepareSocket sets what every stream socket has: no delay, and the non-blocking mode.
func prepareSocket(fd windows.Handle) error {
	_ = windows.SetsockoptInt(fd, windows.IPPROTO_TCP, windows.TCP_NODELAY, 1) // only a matter of speed
	return setNonblocking(fd)
}

// setNonblocking sets the mode for calls that are not overlapped.
func setNonblocking(fd windows.Handle) error { return control(fd, fionbio, 1) }

// control sets a mode of a socket.
func control(fd windows.Handle, mode, value uint32) error {
	n := uint32(0)
	err := windows.WSAIoctl(fd, mode, (*byte)(unsafe.Pointer(&value)), uint32(unsafe.Sizeof(value)), nil, 0, &n, nil, 0)
	return os.NewSyscallError("WSAIoctl", systemError(err))
}

func toSockaddr(a Address) windows.Sockaddr {
	if a.Addr().Is4() {
		return &windows.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &windows.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: zoneIndex(a.Addr().Zone())}
}

func fromSockaddr(sa windows.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *windows.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *windows.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	default:
		return netip.AddrPort{}
	}
}

func localAddrPort(fd int) netip.AddrPort {
	if local, ok := localInMemory(fd); ok {
		return local
	}
	sa, err := windows.Getsockname(windows.Handle(fd))
	if err != nil {
		return netip.AddrPort{}
	}
	return fromSockaddr(sa)
}

// setContext makes a socket that AcceptEx or ConnectEx has connected an ordinary one.
func setContext(fd windows.Handle, option int32, listener *windows.Handle) error {
	size := 0
	if listener != nil {
		size = int(unsafe.Sizeof(*listener))
	}
	return systemError(windows.Setsockopt(fd, windows.SOL_SOCKET, option, (*byte)(unsafe.Pointer(listener)), int32(size)))
}

// connected finishes the connecting of a socket.
func connected(fd int) error {
	return setContext(windows.Handle(fd), windows.SO_UPDATE_CONNECT_CONTEXT, nil)
}

func (s *slot) connect(h windows.Handle) error {
	socket, _ := s.o.value.(*Socket)
	return windows.ConnectEx(h, toSockaddr(socket.remote), nil, 0, &s.n, &s.overlapped)
}

// accept opens the socket that is to be connected and begins to accept for it.
func (s *slot) accept(listener windows.Handle) error {
	fd, err := socket(family(Address{AddrPort: localAddrPort(int(listener))}))
	if err != nil {
		return err
	}
	s.accepted = fd
	return windows.AcceptEx(listener, fd, &s.addresses[0], 0, uint32(addressSize), uint32(addressSize), &s.n, &s.overlapped)
}

// accept2 takes the connection of an accept that has succeeded.
func (s *slot) accept2(listener *descriptor) (any, error) {
	h := windows.Handle(listener.fd)
	if err := setContext(s.accepted, windows.SO_UPDATE_ACCEPT_CONTEXT, &h); err != nil {
		return nil, s.o.failure(err)
	}
	var local, remote *windows.RawSockaddrAny
	var localSize, remoteSize int32
	windows.GetAcceptExSockaddrs(&s.addresses[0], 0, uint32(addressSize), uint32(addressSize), &local, &localSize, &remote, &remoteSize)
	a := Accepted{fd: int(s.accepted)}
	if sa, err := remote.Sockaddr(); err == nil {
		a.Remote.AddrPort = fromSockaddr(sa)
	}
	s.accepted = 0 // it is no longer the slot's
	return a, nil
}
