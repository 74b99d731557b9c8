//go:build unix

package completion

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func openPacketSocket(local, remote Address) (fd int, bound Address, err error) {
	family, verb, address := unix.AF_INET6, "listen on", local
	if !local.IsValid() {
		verb, address = "connect to", remote
	}
	if address.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err = openSocket(family, unix.SOCK_DGRAM)
	if err != nil {
		return 0, Address{}, os.NewSyscallError("socket", err)
	}
	if local.IsValid() {
		err = bindSocket(fd, local)
	} else {
		err = unix.Connect(fd, toSockaddr(remote))
	}
	if err != nil {
		closeFD(fd)
		return 0, Address{}, fmt.Errorf("%s %s: %w", verb, address, err)
	}
	return fd, Address{AddrPort: localAddrPort(fd)}, nil
}

// err is that of a datagram that has been received.
func (p *packet) err() error {
	if p.truncated {
		return ErrTruncated
	}
	return nil
}

func attemptRecvFrom(o *Overlapped) outcome {
	pool := &o.worker.buffers
	b := pool.get()
	if b == nil {
		return starved
	}
	n, errno := o.packet.receiveDatagram(o.desc.fd, b.mem)
	if errno != 0 || n == 0 {
		pool.putBack(b)
		return o.outcome(0, errno)
	}
	b.n, o.buffer = n, b
	o.bytes, o.err = n, o.packet.err()
	return ended
}

func attemptSendTo(o *Overlapped) outcome {
	n, errno := o.packet.sendDatagram(o.desc.fd, o.buf)
	return o.outcome(n, errno)
}
