package completion

import (
	"errors"
	"math"
	"runtime"
	"unsafe"

	"golang.org/x/sys/windows"
)

// slot is what the system has of an operation in flight: its OVERLAPPED and
// what that goes with. It stays where it is, pinned, for the life of the
// worker; operations use it one after the other.
type slot struct {
	overlapped windows.Overlapped // first, so that a packet's pointer to it is one to the slot
	o          *Overlapped
	pinner     runtime.Pinner // of the buffer
	buf        windows.WSABuf
	flags, n   uint32

	accepted  windows.Handle // the socket that an accept is to connect
	addresses [2 * addressSize]byte
}

// addressSize is the room that AcceptEx wants for each of two addresses.
const addressSize = int(unsafe.Sizeof(windows.RawSockaddrInet6{})) + 16

// slot returns the slot of an operation, empty.
func (p *iocp) slot(o *Overlapped) *slot {
	for int(o.slot) >= len(p.slots) {
		s := &slot{}
		p.pinner.Pin(s)
		p.slots = append(p.slots, s)
	}
	s := p.slots[o.slot]
	s.overlapped, s.o = windows.Overlapped{}, o
	s.buf, s.flags, s.n = windows.WSABuf{}, 0, 0
	return s
}

// issue hands an operation to the system.
func (p *iocp) issue(o *Overlapped) {
	s := p.slot(o)
	err := s.call(windows.Handle(o.desc.fd))
	p.begun(s, err)
}

// begun deals with what the call that begins an operation has returned. Unless it
// is an error, in the system's own terms, there will be a packet.
func (p *iocp) begun(s *slot, err error) {
	if err == nil || errors.Is(err, windows.ERROR_IO_PENDING) || s.warned() {
		return
	}
	o := s.o
	s.release()
	p.advance(o)
	p.worker.end(o, o.sent(), o.failure(err))
}

// warned reports whether the operation has ended with a warning: a message did
// not fit. The calls return that as an error.
func (s *slot) warned() bool { return s.overlapped.Internal>>30 == 2 }

// call makes the system call that begins the operation.
func (s *slot) call(h windows.Handle) error {
	o, ov := s.o, &s.overlapped
	switch o.op {
	case opRecv:
		return windows.WSARecv(h, &s.buf, 1, &s.n, &s.flags, ov, nil)
	case opSend:
		s.setBuffer(o.rest(), maxSend)
		return windows.WSASend(h, &s.buf, 1, &s.n, 0, ov, nil)
	case opRecvFrom:
		s.flags = windows.MSG_PEEK // or the datagram would be lost
		return windows.WSARecv(h, &s.buf, 1, &s.n, &s.flags, ov, nil)
	case opSendTo:
		s.setBuffer(o.buf, math.MaxInt32)
		return o.packet.send(h, s)
	case opRead, opReadStream:
		s.setBuffer(o.buf, maxTransfer)
		setOffset(ov, o.offset())
		return windows.ReadFile(h, s.bytes(), &s.n, ov)
	case opWriteStream, opWriteGatherStream:
		s.setBuffer(o.nextWrite(), maxSend)
		return windows.WriteFile(h, s.bytes(), &s.n, ov)
	case opAccept:
		return s.accept(h)
	case opConnect:
		return s.connect(h)
	case opChanges:
		s.setBuffer(o.buf, math.MaxInt32)
		return windows.ReadDirectoryChanges(h, s.buf.Buf, s.buf.Len, false, watchEvents, nil, ov, 0)
	default:
		return windows.ERROR_NOT_SUPPORTED
	}
}

const (
	// maxTransfer is how much a single file operation can be asked for.
	maxTransfer = 1 << 30
	// maxSend is how much a single send or write to a pipe is asked for: of one
	// that is cancelled nobody knows how much has been taken.
	maxSend = 256 << 10
)

// setBuffer pins a buffer and makes it that of the operation.
func (s *slot) setBuffer(buf []byte, most int) {
	if len(buf) == 0 { // of an empty datagram
		return
	}
	s.buf.Buf = unsafe.SliceData(buf)
	s.buf.Len = uint32(min(len(buf), most))
	s.pinner.Pin(s.buf.Buf)
}

func (s *slot) bytes() []byte { return unsafe.Slice(s.buf.Buf, s.buf.Len) }

func setOffset(ov *windows.Overlapped, offset int64) {
	ov.Offset = uint32(offset)
	ov.OffsetHigh = uint32(offset >> 32)
}

// offset is where the rest of a file operation is to go; streams have none.
func (o *Overlapped) offset() int64 {
	switch {
	case o.op == opReadStream:
		return 0
	case o.desc.stream.appends:
		return -1 // the end, wherever that is
	default:
		return o.ov.Offset + int64(o.done)
	}
}

// release gives up the system's hold on the operation.
func (s *slot) release() {
	s.pinner.Unpin()
	s.o, s.buf.Buf = nil, nil
	if s.accepted != 0 {
		closeSocket(int(s.accepted))
		s.accepted = 0
	}
}

// result returns how the operation ended.
func (s *slot) result() error {
	status := windows.NTStatus(s.overlapped.Internal)
	if int32(status) >= 0 || s.warned() && s.o.op.reads() { // there is more to read
		return nil
	}
	return s.o.failure(status.Errno())
}

// advance lets the next operation of a stream begin, or of a file that has enough
// of them.
func (p *iocp) advance(o *Overlapped) {
	if w := o.desc.windowOf(o); w != nil {
		if next := w.leave(); next != nil {
			p.issue(next)
		}
		return
	}
	queue := o.queue
	if queue == nil {
		return
	}
	queue.remove(o)
	if queue.first != nil {
		p.issue(queue.first)
	}
}
