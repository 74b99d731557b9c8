//go:build unix && (!linux || portable)

package completion

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// packetHeader is where a datagram goes; nil on a connected socket.
type packetHeader struct{ to unix.Sockaddr }

func (p *packet) prepareSend(_ []byte, address Address, wide bool) {
	p.sys.to = nil
	if !address.IsValid() {
		return
	}
	if wide { // IPv4 addresses are mapped
		address.AddrPort = netip.AddrPortFrom(netip.AddrFrom16(address.Addr().As16()).WithZone(address.Addr().Zone()), address.Port())
	} else {
		address.AddrPort = netip.AddrPortFrom(address.Addr().Unmap(), address.Port())
	}
	p.sys.to = toSockaddr(address)
}

// receiveDatagram receives one into mem and notes who sent it.
func (p *packet) receiveDatagram(fd int, mem []byte) (int, syscall.Errno) {
	for {
		n, _, flags, from, err := unix.Recvmsg(fd, mem, nil, 0)
		errno := errnoOf(err)
		if errno == unix.EINTR {
			continue
		}
		if errno == 0 {
			p.from, p.truncated = fromSockaddr(from), flags&unix.MSG_TRUNC != 0
		}
		return max(n, 0), errno
	}
}

// sendDatagram sends data to where prepareSend has been told.
func (p *packet) sendDatagram(fd int, data []byte) (int, syscall.Errno) {
	for {
		var err error
		if p.sys.to == nil {
			_, err = unix.Write(fd, data)
		} else {
			err = unix.Sendto(fd, data, 0, p.sys.to)
		}
		switch errno := errnoOf(err); errno {
		case 0:
			return len(data), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}
