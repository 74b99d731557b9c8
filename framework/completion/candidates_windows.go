package completion

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/windows"
)

// candidates returns the backends of this system in the order in which "auto"
// tries them.
func candidates() []backendChoice {
	return []backendChoice{{name: "iocp", open: openIOCP}}
}

var procAccept = windows.NewLazySystemDLL("ws2_32.dll").NewProc("accept")

// selfTestPair returns the two ends of a connection.
func selfTestPair() (pair [2]int, err error) {
	l, client, err := dialSelf()
	if err != nil {
		return pair, err
	}
	defer closeSocket(int(l))
	server, _, err := procAccept.Call(uintptr(l), 0, 0)
	if windows.Handle(server) == windows.InvalidHandle {
		closeSocket(int(client))
		return pair, err
	}
	pair = [2]int{int(client), int(server)}
	return pair, errors.Join(prepareSocket(client), prepareSocket(windows.Handle(server)))
}

// dialSelf connects a socket to a listening one. They are still in blocking
// mode, so it is connected afterwards.
func dialSelf() (l, client windows.Handle, err error) {
	if l, err = openSocket(windows.AF_INET, windows.SOCK_STREAM); err != nil {
		return 0, 0, err
	}
	if client, err = openSocket(windows.AF_INET, windows.SOCK_STREAM); err != nil {
		closeSocket(int(l))
		return 0, 0, err
	}
	loopback := Address{AddrPort: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)}
	err = windows.Bind(l, toSockaddr(loopback))
	if err == nil {
		err = windows.Listen(l, 1)
	}
	if err == nil {
		err = windows.Connect(client, toSockaddr(Address{AddrPort: localAddrPort(int(l))}))
	}
	if err != nil {
		closeSocket(int(l))
		closeSocket(int(client))
	}
	return l, client, err
}
