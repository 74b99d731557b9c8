//go:build !portable

package completion

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// packetHeader is what the system is told of a datagram, and tells.
type packetHeader struct {
	header unix.Msghdr
	iov    unix.Iovec
	name   rawSockaddr
}

// The socket addresses of the system.
type (
	rawSockaddr  = unix.RawSockaddrAny
	rawSockaddr4 = unix.RawSockaddrInet4
	rawSockaddr6 = unix.RawSockaddrInet6
)

const familyIPv4, familyIPv6 = unix.AF_INET, unix.AF_INET6

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

// receiveDatagram receives one into mem and notes who sent it.
func (p *packet) receiveDatagram(fd int, mem []byte) (int, syscall.Errno) {
	n, errno := rawMessage(unix.SYS_RECVMSG, fd, p.prepareReceive(mem, len(mem)), 0)
	if errno == 0 {
		p.received()
	}
	return n, errno
}

// sendDatagram sends what prepareSend has described.
func (p *packet) sendDatagram(fd int, _ []byte) (int, syscall.Errno) {
	return rawMessage(unix.SYS_SENDMSG, fd, &p.sys.header, unix.MSG_NOSIGNAL)
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

// receiveFrom starts to receive a datagram. If there is one, and others wait for a
// buffer, it waits behind them.
func (u *uring) receiveFrom(o *Overlapped) {
	if o.desc.readiness.readable && !u.worker.buffers.waiting.empty() {
		u.worker.buffers.await(o)
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
