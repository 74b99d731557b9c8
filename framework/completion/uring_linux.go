package completion

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// uring is the backend on Linux's io_uring. Sends, receives and file transfers
// are operations of the ring; what is rarer (accept, connect, pipes) is polled
// through the ring and then done by a system call that cannot block, the same
// as on epoll. Everything a turn starts is submitted by the call that waits.
type uring struct {
	worker  *Worker
	ring    *ring
	buffers *bufferRing
	event   int // eventfd that ends a wait
}

// The kinds of number that the kernel hands back with a completion.
const (
	tagOperation = iota // slot and generation of an overlapped
	tagCancel           // the end of a cancel request, of no interest
	tagWake
)

func openUring(w *Worker) (backend, error) {
	r, err := openRing()
	if err != nil {
		return nil, err
	}
	u := &uring{worker: w, ring: r, event: -1}
	if err := u.init(); err != nil {
		u.close()
		return nil, err
	}
	return u, nil
}

func (u *uring) init() (err error) {
	if u.buffers, err = openBufferRing(u.ring, &u.worker.buffers); err != nil {
		return err
	}
	if u.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return err
	}
	// The kernel's own threads for files that it cannot read or write
	// asynchronously, bounded as the pool is.
	bounds := [2]uint32{uint32(u.worker.port.options.FileThreads), 0}
	if err := u.ring.register(registerIowqMaxWorkers, uintptr(unsafe.Pointer(&bounds)), 2); err != nil {
		return err
	}
	u.pollWake()
	return nil
}

// pollWake watches the eventfd. Each wake-up posts a completion, and the
// counter never has to be read.
func (u *uring) pollWake() {
	sqe := u.ring.next()
	sqe.opcode = opcodePollAdd
	sqe.fd = int32(u.event)
	sqe.len = pollAddMulti
	sqe.opFlags = unix.POLLIN
	sqe.userData = tagWake
}

func (u *uring) hook(*descriptor) error { return nil }
func (u *uring) forget(*descriptor)     {}
func (u *uring) shutdown()              {}

func (u *uring) start(o *Overlapped) {
	sqe := u.ring.next()
	sqe.fd = int32(o.desc.fd)
	sqe.userData = u.number(o)
	switch o.op {
	case opRecv:
		sqe.opcode = opcodeRecv
		sqe.flags = sqeBufferSelect
		sqe.bufGroup = bufferGroup
		if !o.desc.readiness.readable {
			sqe.ioprio = recvPollFirst // an attempt would be in vain
		}
	case opSend:
		sqe.opcode = opcodeSend
		sqe.opFlags = unix.MSG_NOSIGNAL | unix.MSG_WAITALL
		setBuffer(sqe, o.buf[o.done:])
	case opRead:
		sqe.opcode = opcodeRead
		sqe.off = uint64(o.ov.Offset)
		setBuffer(sqe, o.buf)
	case opWrite:
		sqe.opcode = opcodeWrite
		sqe.off = uint64(o.ov.Offset) + uint64(o.done)
		setBuffer(sqe, o.buf[o.done:])
	case opSync:
		sqe.opcode = opcodeFsync
	default:
		sqe.opcode = opcodePollAdd
		sqe.opFlags = unix.POLLOUT
		if o.op.reads() {
			sqe.opFlags = unix.POLLIN
		}
	}
}

// maxTransfer is how much a single file operation can be asked for.
const maxTransfer = 1 << 30

func setBuffer(sqe *uringSQE, buf []byte) {
	sqe.addr = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(buf))))
	sqe.len = uint32(min(len(buf), maxTransfer))
}

// number is what the kernel hands back for o.
func (u *uring) number(o *Overlapped) uint64 {
	generation := u.worker.ops.generations[o.slot] & generationMask
	return uint64(o.slot)<<32 | uint64(generation)<<8 | tagOperation
}

func (u *uring) cancel(o *Overlapped) {
	sqe := u.ring.next()
	sqe.opcode = opcodeAsyncCancel
	sqe.addr = u.number(o)
	sqe.userData = tagCancel
}

func (u *uring) wait(patience time.Duration) {
	w := u.worker
	u.ring.enter(enterGetEvents)
	if patience != 0 && u.ring.empty() {
		w.sleeping.Store(true)
		if !w.hasRemote() {
			u.ring.wait(patience)
		}
		w.sleeping.Store(false)
	}
}

func (u *uring) reap() {
	for cqe, ok := u.ring.reap(); ok; cqe, ok = u.ring.reap() {
		u.dispatch(cqe)
	}
	u.buffers.fill()
}

func (u *uring) dispatch(cqe uringCQE) {
	switch cqe.userData & 0xFF {
	case tagWake:
		if cqe.flags&cqeMore == 0 {
			u.pollWake()
		}
	case tagOperation:
		o := u.worker.ops.find(uint32(cqe.userData>>32), uint32(cqe.userData>>8)&generationMask)
		if o != nil {
			u.ended(o, cqe)
		}
	}
}

// ended deals with the end of an operation in the kernel.
func (u *uring) ended(o *Overlapped, cqe uringCQE) {
	n, errno := int(cqe.res), syscall.Errno(0)
	if n < 0 {
		n, errno = 0, syscall.Errno(-cqe.res)
	}
	switch o.op {
	case opRecv:
		u.received(o, n, errno, cqe.flags)
	case opRead:
		if u.interrupted(o, errno) {
			return
		}
		err := errnoError(errno)
		if err == nil {
			n, err = fileRead(n, nil)
		}
		u.worker.complete(o, n, err)
	case opSend, opWrite:
		u.sent(o, n, errno)
	case opSync:
		if !u.interrupted(o, errno) {
			u.worker.complete(o, 0, errnoError(errno))
		}
	default:
		u.polled(o, errno)
	}
}

func (u *uring) received(o *Overlapped, n int, errno syscall.Errno, flags uint32) {
	if flags&cqeBuffer != 0 {
		b := u.buffers.take(uint16(flags >> cqeBufferShift))
		if n > 0 {
			b.n = n
			o.buffer = b
		} else {
			u.worker.buffers.putBack(b)
		}
	}
	o.desc.readiness.readable = flags&cqeSockNonEmpty != 0
	switch {
	case errno == unix.ENOBUFS && !o.cancelled:
		u.starved(o)
	case u.interrupted(o, errno):
	default:
		u.worker.complete(o, n, errnoError(errno))
	}
}

// starved deals with a receive for which the buffer ring was empty. It is
// tried again as soon as there is a buffer.
func (u *uring) starved(o *Overlapped) {
	o.desc.readiness.readable = true
	u.buffers.enlarge()
	u.buffers.fill()
	if u.buffers.lent > 0 {
		u.start(o)
		return
	}
	u.worker.buffers.waiting.push(o)
}

func (u *uring) released() {
	if o := u.worker.buffers.waiting.pop(); o != nil {
		u.buffers.fill()
		u.start(o)
	}
}

// sent deals with the end of a send or write, which may have been short.
func (u *uring) sent(o *Overlapped, n int, errno syscall.Errno) {
	o.done += n
	switch {
	case u.interrupted(o, errno):
	case errno != 0:
		u.worker.complete(o, o.done, errnoError(errno))
	case o.done == len(o.buf):
		u.worker.complete(o, o.done, nil)
	case o.cancelled:
		u.worker.complete(o, o.done, ErrOperationAborted)
	case n == 0:
		u.worker.complete(o, o.done, unix.ENOSPC)
	default:
		u.start(o)
	}
}

// interrupted starts again what the kernel gave up for a reason of its own.
func (u *uring) interrupted(o *Overlapped, errno syscall.Errno) bool {
	if errno != unix.EINTR && errno != unix.EAGAIN {
		return false
	}
	if o.cancelled {
		u.worker.complete(o, o.sent(), ErrOperationAborted)
	} else {
		u.start(o)
	}
	return true
}

// polled attempts an operation whose descriptor is ready.
func (u *uring) polled(o *Overlapped, errno syscall.Errno) {
	switch {
	case o.cancelled || errno == unix.ECANCELED:
		u.worker.complete(o, o.sent(), ErrOperationAborted)
	case errno != 0:
		u.worker.complete(o, o.sent(), errno)
	case attempt(o) == ended:
		u.worker.complete(o, o.bytes, o.err)
	default:
		u.start(o)
	}
}

func (u *uring) wake() { wakeEvent(u.event) }

func (u *uring) close() {
	u.ring.close()
	if u.buffers != nil {
		u.buffers.close()
	}
	if u.event >= 0 {
		closeFD(u.event)
	}
}
