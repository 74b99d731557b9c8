//go:build unix

package completion

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"fwx/framework/completion/internal/memory"
)

func closeSocket(fd int) { closeFD(fd) }

// setLinger makes the coming close send an RST.
func setLinger(fd int) {
	if m := memory.Of(fd); m != nil {
		m.SetLinger()
		return
	}
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) // a unix socket has none
}

func shutdownSend(fd int) error {
	if m := memory.Of(fd); m != nil {
		return m.CloseSend()
	}
	return unix.Shutdown(fd, unix.SHUT_WR)
}

const listenBacklog = 4096

func listen(address Address) (int, Address, error) {
	fd, err := newSocket(address)
	if err != nil {
		return 0, Address{}, fmt.Errorf("listen on %s: %w", address, err)
	}
	if err := bindAndListen(fd, address); err != nil {
		closeFD(fd)
		return 0, Address{}, fmt.Errorf("listen on %s: %w", address, err)
	}
	if !address.IsUnix() {
		address.AddrPort = localAddrPort(fd)
	}
	return fd, address, nil
}

// removeSocket returns what removes a unix socket from its directory, if it is
// still the one that is there now.
func removeSocket(path string) func() {
	if path[0] == '@' { // abstract: in no directory
		return nil
	}
	created, err := os.Lstat(path)
	if err != nil {
		return nil
	}
	return func() {
		if now, err := os.Lstat(path); err == nil && os.SameFile(created, now) {
			_ = os.Remove(path) // the socket has ended, whatever is left of it
		}
	}
}

// connectSocket opens a socket and begins to connect it.
func connectSocket(address Address) (int, error) {
	fd, err := newSocket(address)
	if err != nil {
		return 0, err
	}
	err = ignoringEINTR(func() error { return unix.Connect(fd, toSockaddr(address)) })
	switch {
	case err == nil, errors.Is(err, unix.EINPROGRESS):
		return fd, nil
	case errors.Is(err, unix.EAGAIN): // the backlog of a unix socket is full, and nothing tells when it no longer is
		err = unix.ECONNREFUSED
	}
	closeFD(fd)
	return 0, os.NewSyscallError("connect", err)
}

func bindAndListen(fd int, address Address) error {
	if !address.IsUnix() {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return err
		}
	}
	if err := bind(fd, address); err != nil {
		return err
	}
	return unix.Listen(fd, listenBacklog)
}

// bindSocket binds a socket. On :: it is for IPv4 too, where the system can.
func bindSocket(fd int, address Address) error {
	if !address.IsUnix() && address.Addr().Is6() {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0) // OpenBSD refuses
	}
	return unix.Bind(fd, toSockaddr(address))
}

func newSocket(address Address) (int, error) {
	family := unix.AF_INET6
	switch {
	case address.IsUnix():
		family = unix.AF_UNIX
	case address.Addr().Is4():
		family = unix.AF_INET
	}
	fd, err := openSocket(family, unix.SOCK_STREAM)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	if family != unix.AF_UNIX {
		setNoDelay(fd)
		boundUnsent(fd)
	}
	setUrgentInline(fd)
	return fd, nil
}

// setUrgentInline leaves urgent data in the stream: out of it, it would be lost.
func setUrgentInline(fd int) {
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_OOBINLINE, 1) // every stream socket has it
}

func setNoDelay(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // only a matter of speed
}

func toSockaddr(a Address) unix.Sockaddr {
	switch {
	case a.IsUnix():
		return &unix.SockaddrUnix{Name: a.Path}
	case a.Addr().Is4():
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	default:
		return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: zoneIndex(a.Addr().Zone())}
	}
}

func fromSockaddr(sa unix.Sockaddr) Address {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return Address{AddrPort: netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))}
	case *unix.SockaddrInet6:
		return Address{AddrPort: netip.AddrPortFrom(inZone(netip.AddrFrom16(sa.Addr).Unmap(), sa.ZoneId), uint16(sa.Port))}
	case *unix.SockaddrUnix:
		return Address{Path: sa.Name}
	default:
		return Address{}
	}
}

func localAddrPort(fd int) netip.AddrPort {
	if local, ok := localInMemory(fd); ok {
		return local
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}
	}
	return fromSockaddr(sa).AddrPort
}

// selfTestPair returns the two ends of a connection.
func selfTestPair() ([2]int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return pair, os.NewSyscallError("socketpair", err)
	}
	claim(pair[0])
	claim(pair[1])
	return pair, nil
}
