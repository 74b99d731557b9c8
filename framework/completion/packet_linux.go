package completion

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// packetHeader is what the system is told of a datagram, and tells.
type packetHeader struct {
	header unix.Msghdr
	iov    unix.Iovec
	name   unix.RawSockaddrAny
}

func openPacketSocket(local, remote Address) (fd int, bound Address, err error) {
	family, verb, address := unix.AF_INET6, "listen on", local
	if !local.IsValid() {
		verb, address = "connect to", remote
	}
	if address.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, Address{}, os.NewSyscallError("socket", err)
	}
	if local.IsValid() {
		err = unix.Bind(fd, toSockaddr(local))
	} else {
		err = unix.Connect(fd, toSockaddr(remote))
	}
	if err != nil {
		closeFD(fd)
		return 0, Address{}, fmt.Errorf("%s %s: %w", verb, address, err)
	}
	return fd, Address{AddrPort: localAddrPort(fd)}, nil
}

// prepareReceive describes where a datagram goes; with a nil buffer the kernel
// chooses one of that size.
func (p *packet) prepareReceive(mem []byte, size int) *unix.Msghdr {
	h := &p.sys
	h.iov.Base = unsafe.SliceData(mem)
	h.iov.SetLen(size)
	h.header = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&h.name)), Namelen: unix.SizeofSockaddrAny, Iov: &h.iov}
	h.header.SetIovlen(1)
	return &h.header
}

func (p *packet) prepareSend(data []byte, address Address, wide bool) {
	h := &p.sys
	h.iov.Base = unsafe.SliceData(data)
	h.iov.SetLen(len(data))
	h.header = unix.Msghdr{Iov: &h.iov}
	h.header.SetIovlen(1)
	if address.IsValid() {
		h.header.Name = (*byte)(unsafe.Pointer(&h.name))
		h.header.Namelen = putSockaddr(&h.name, address.AddrPort, wide)
	}
}

// received notes what the header says of the datagram that has come.
func (p *packet) received() {
	p.from = Address{AddrPort: getSockaddr(&p.sys.name, p.sys.header.Namelen)}
	p.truncated = p.sys.header.Flags&unix.MSG_TRUNC != 0
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
	n, errno := rawMessage(unix.SYS_RECVMSG, o.desc.fd, o.packet.prepareReceive(b.mem, len(b.mem)), 0)
	if errno == 0 {
		o.packet.received()
	}
	if errno != 0 || n == 0 {
		pool.putBack(b)
		return o.outcome(0, errno)
	}
	b.n, o.buffer = n, b
	o.bytes, o.err = n, o.packet.err()
	return ended
}

func attemptSendTo(o *Overlapped) outcome {
	n, errno := rawMessage(unix.SYS_SENDMSG, o.desc.fd, &o.packet.sys.header, unix.MSG_NOSIGNAL)
	return o.outcome(n, errno)
}

func rawMessage(call uintptr, fd int, header *unix.Msghdr, flags uintptr) (int, syscall.Errno) {
	for {
		n, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(header)), flags)
		if errno == 0 {
			return int(n), 0
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}

// putSockaddr writes an address as the system wants it and returns its length.
func putSockaddr(to *unix.RawSockaddrAny, address netip.AddrPort, wide bool) uint32 {
	addr := address.Addr()
	if !wide {
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(to))
		*sa = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: addr.Unmap().As4()}
		binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:], address.Port())
		return unix.SizeofSockaddrInet4
	}
	sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(to))
	*sa = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: addr.As16(), Scope_id: scopeOf(addr.Zone())}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:], address.Port())
	return unix.SizeofSockaddrInet6
}

// scopeOf returns the number of a zone, which getSockaddr gives by number.
func scopeOf(zone string) uint32 {
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	return zoneIndex(zone)
}

func getSockaddr(from *unix.RawSockaddrAny, size uint32) netip.AddrPort {
	switch {
	case from.Addr.Family == unix.AF_INET && size >= unix.SizeofSockaddrInet4:
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(from))
		port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:])
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), port)
	case from.Addr.Family == unix.AF_INET6 && size >= unix.SizeofSockaddrInet6:
		sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(from))
		port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:])
		addr := netip.AddrFrom16(sa.Addr).Unmap()
		if sa.Scope_id != 0 && addr.Is6() {
			addr = addr.WithZone(strconv.FormatUint(uint64(sa.Scope_id), 10))
		}
		return netip.AddrPortFrom(addr, port)
	default:
		return netip.AddrPort{}
	}
}

// receiveFrom starts to receive a datagram. If there is one, and others wait for a
// buffer, it waits behind them.
func (u *uring) receiveFrom(o *Overlapped) {
	if starved := &u.worker.buffers.waiting; o.desc.readiness.readable && !starved.empty() {
		starved.push(o)
		return
	}
	u.submit(o)
}

// submitMessage fills in a submission for a datagram.
func (u *uring) submitMessage(sqe *uringSQE, o *Overlapped) {
	header := &o.packet.sys.header
	if o.op == opSendTo {
		sqe.opcode = opcodeSendmsg
		sqe.opFlags = unix.MSG_NOSIGNAL
	} else {
		header = o.packet.prepareReceive(nil, u.worker.buffers.size)
		sqe.opcode = opcodeRecvmsg
		sqe.flags = sqeBufferSelect
		sqe.bufGroup = bufferGroup
		if !o.desc.readiness.readable {
			sqe.ioprio = recvPollFirst // an attempt would be in vain
		}
	}
	sqe.addr = uint64(uintptr(unsafe.Pointer(header)))
	sqe.len = 1
}
