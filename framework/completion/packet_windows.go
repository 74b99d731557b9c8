package completion

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// packetHeader is what the system is told of a datagram, and tells.
type packetHeader struct {
	size int32 // of name; 0: there is none
	name rawSockaddr
}

// The socket addresses of the system.
type (
	rawSockaddr  = windows.RawSockaddrAny
	rawSockaddr4 = windows.RawSockaddrInet4
	rawSockaddr6 = windows.RawSockaddrInet6
)

const familyIPv4, familyIPv6 = windows.AF_INET, windows.AF_INET6

func openPacketSocket(local, remote Address) (fd int, bound Address, err error) {
	verb, address := "listen on", local
	if !local.IsValid() {
		verb, address = "connect to", remote
	}
	h, err := openSocket(family(address), windows.SOCK_DGRAM)
	if err != nil {
		return 0, Address{}, err
	}
	if err = setNonblocking(h); err == nil {
		if local.IsValid() {
			ignoreUnreachable(h)
			err = windows.Bind(h, toSockaddr(local))
		} else {
			err = windows.Connect(h, toSockaddr(remote))
		}
	}
	if err != nil {
		closeSocket(int(h))
		return 0, Address{}, fmt.Errorf("%s %s: %w", verb, address, systemError(err))
	}
	return int(h), Address{AddrPort: localAddrPort(int(h))}, nil
}

// ignoreUnreachable keeps the answer to a datagram that nobody has taken from
// ending a receive from others.
func ignoreUnreachable(h windows.Handle) {
	for _, option := range []uint32{windows.SIO_UDP_CONNRESET, windows.SIO_UDP_NETRESET} {
		_ = control(h, option, 0) // where it is not known, such answers are not told
	}
}

// receive receives a datagram, without waiting.
func (p *packet) receive(fd int, mem []byte) (int, error) {
	h := &p.sys
	h.size = int32(unsafe.Sizeof(h.name))
	buf := windows.WSABuf{Len: uint32(len(mem)), Buf: unsafe.SliceData(mem)}
	var n, flags uint32
	err := windows.WSARecvFrom(windows.Handle(fd), &buf, 1, &n, &flags, &h.name, &h.size, nil, nil)
	if p.truncated = err == windows.WSAEMSGSIZE; p.truncated { //nolint:errorlint // a system call returns a bare Errno
		n, err = buf.Len, nil
	}
	if err == nil {
		p.from = Address{AddrPort: getSockaddr(&h.name, uint32(h.size))}
	}
	return int(n), err
}

func (p *packet) prepareSend(_ []byte, address Address, wide bool) {
	h := &p.sys
	h.size = 0
	if address.IsValid() {
		h.size = int32(putSockaddr(&h.name, address.AddrPort, wide))
	}
}

// send begins to send the datagram in the slot's buffer.
func (p *packet) send(h windows.Handle, s *slot) error {
	to := &p.sys.name
	if p.sys.size == 0 {
		to = nil
	}
	return windows.WSASendTo(h, &s.buf, 1, &s.n, 0, to, p.sys.size, &s.overlapped, nil)
}

// truncated is the error of a receive whose datagram did not fit.
func (o *Overlapped) truncated() error {
	if o.op == opRecvFrom && o.packet.truncated {
		return ErrTruncated
	}
	return nil
}
