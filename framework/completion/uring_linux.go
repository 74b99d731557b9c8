//go:build !portable

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

	streams  []*descriptor // with an armed stream, by slot
	unused   []uint32      // slots
	promised []*descriptor // whose stream has more to bring, as it said, and somebody waits
	windows  fileWindows

	gathered int // bytes of the transfers that are to be submitted
}

// The kinds of number that the kernel hands back with a completion.
const (
	tagOperation = iota // slot and generation of an overlapped
	tagWake
	tagStream // slot of a socket's stream

	// cancelOf is added to the number of what a request is to cancel, for the end of the request.
	cancelOf = 0x80
)

func openUring(w *Worker) (backend, error) {
	r, err := openRing(w.test.ringEntries)
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
	threads := u.worker.port.options.FileThreads
	u.windows.init(threads)
	bounds := [2]uint32{uint32(threads), 0}
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

func (u *uring) hook(d *descriptor) error {
	if d.file {
		u.windows.open(d)
		d.direct = isDirect(d.fd)
	}
	return nil
}

func isDirect(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_DIRECT != 0
}

func (u *uring) start(o *Overlapped) {
	switch o.op {
	case opRecv:
		u.receive(o)
	case opRecvFrom:
		u.receiveFrom(o)
	case opSend, opSendTo:
		u.transfer(o)
	case opRead, opWrite, opWriteGather, opSync:
		if w := o.desc.windowOf(o); w == nil || w.enter(o) {
			u.transfer(o)
		}
	default:
		// One operation after the other, so that two transfers on a stream do
		// not mix: the first is polled for, the others wait.
		queue := o.desc.readiness.queue(o)
		if o.op.splices() && queue.empty() && attempt(o) == ended {
			u.worker.end(o, o.bytes, o.err) // bulk data: there is more, as a rule
			return
		}
		queue.push(o)
		if queue.first == o {
			u.submit(o)
		}
	}
}

const (
	// transferBatch is how many bytes are submitted at a time. The kernel moves them while it
	// takes the submissions, so what the handlers of a turn start all together could take far
	// longer than the turn's share; what is submitted between two handlers counts in it.
	transferBatch = 1 << 20
	// directBatch is how many operations past the page cache are submitted at a time. What a
	// turn starts reaches a device that has just nothing to do that much earlier: with 32 reads
	// in flight 4 at a time bring a fifth more of them than all together, for the same CPU time.
	directBatch = 4
)

// transfer is submit for an operation that moves data.
func (u *uring) transfer(o *Overlapped) {
	u.submit(o)
	u.gathered += o.length()
	if u.gathered >= transferBatch || o.desc.direct && u.ring.filled() >= directBatch {
		u.ring.enter(0)
		u.gathered = 0
	}
}

// submit puts o in the submission queue.
func (u *uring) submit(o *Overlapped) {
	sqe := u.ring.next()
	sqe.fd = int32(o.desc.fd)
	sqe.userData = u.number(o)
	switch o.op {
	case opRecv:
		sqe.opcode = opcodeRecv
		sqe.flags = sqeBufferSelect
		sqe.bufGroup = bufferGroup
		if u.worker.buffers.tight(0) {
			sqe.len = uint32(u.worker.buffers.tightRoom())
		}
		if !o.desc.readiness.readable {
			sqe.ioprio = recvPollFirst // an attempt would be in vain
		}
	case opSend:
		sqe.opcode = opcodeSend
		sqe.opFlags = unix.MSG_NOSIGNAL | unix.MSG_WAITALL
		setBuffer(sqe, o.rest())
	case opRead:
		sqe.opcode = opcodeRead
		sqe.flags = transferFlags(o)
		sqe.off = uint64(o.ov.Offset)
		setBuffer(sqe, o.buf)
	case opWrite:
		sqe.opcode = opcodeWrite
		sqe.flags = transferFlags(o)
		sqe.off = uint64(o.ov.Offset) + uint64(o.done)
		setBuffer(sqe, o.rest())
	case opWriteGather:
		sqe.opcode = opcodeWritev
		sqe.flags = transferFlags(o)
		sqe.off = uint64(o.ov.Offset) + uint64(o.done)
		vectors := o.gather.vectors()
		sqe.addr = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(vectors))))
		sqe.len = uint32(len(vectors))
	case opSync:
		sqe.opcode = opcodeFsync
	case opRecvFrom, opSendTo:
		u.submitMessage(sqe, o)
	default:
		sqe.opcode = opcodePollAdd
		sqe.opFlags = unix.POLLOUT
		if o.op.reads() {
			sqe.opFlags = unix.POLLIN
		}
	}
}

// transferFlags has a transfer that would block done by a thread of the kernel
// from the start: an attempt on this one would hold up the worker if the file
// claims to be ready, as those of FUSE do.
func transferFlags(o *Overlapped) uint8 {
	if o.desc.async {
		return 0
	}
	return sqeAsync
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
	return uint64(o.slot)<<32 | uint64(generation)<<8 // tagOperation is 0
}

// numbered returns the operation in flight that has a number; nil if it has ended.
func (u *uring) numbered(number uint64) *Overlapped {
	return u.worker.ops.find(uint32(number>>32), uint32(number>>8)&generationMask)
}

func (u *uring) cancel(o *Overlapped) {
	if o.desc.stream.leave(o) {
		if u.worker.closing { // the stream may have been armed again since shutdown
			u.stop(o.desc)
		}
		u.worker.end(o, 0, ErrOperationAborted)
		return
	}
	if w := o.desc.windowOf(o); w != nil && w.waiting.remove(o) {
		u.worker.end(o, o.sent(), ErrOperationAborted)
		return
	}
	if o.queue != nil && o.queue.first != o { // the kernel does not know of it yet
		o.queue.remove(o)
		u.worker.end(o, o.sent(), ErrOperationAborted)
		return
	}
	u.requestCancel(u.number(o))
}

// requestCancel asks the kernel to end what has a number.
func (u *uring) requestCancel(number uint64) {
	sqe := u.ring.next()
	sqe.opcode = opcodeAsyncCancel
	sqe.addr = number
	sqe.userData = number | cancelOf
}

// cancelMissed asks once more if the kernel has not found what was to be cancelled and that has
// not ended: it does not find what it is about to try again, because there is data or room, and
// what may then wait anew. A transfer of a file that is not found is on its way to the device,
// where nothing stops it.
func (u *uring) cancelMissed(number uint64) {
	switch number & 0xFF {
	case tagOperation:
		if o := u.numbered(number); o != nil && o.desc.socket {
			u.requestCancel(number)
		}
	case tagStream:
		if d := u.streams[uint32(number>>32)]; d != nil && d.stream.stopping {
			u.requestCancel(number)
		}
	}
}

func (u *uring) wait(patience time.Duration) {
	w := u.worker
	u.feed()
	u.gathered = 0
	u.ring.enter(enterGetEvents)
	if patience != 0 && u.ring.empty() {
		w.sleeping.Store(true)
		if !w.hasRemote() {
			u.ring.wait(w, patience)
		}
		w.sleeping.Store(false)
	}
}

func (u *uring) reap() {
	turn := u.worker.shareFromTick()
	for !u.ring.empty() && !turn.over(u.worker) {
		cqe, _ := u.ring.reap()
		u.dispatch(cqe)
	}
	u.checkPromised()
}

func (u *uring) dispatch(cqe uringCQE) {
	switch cqe.userData & 0xFF {
	case tagWake:
		if cqe.flags&cqeMore == 0 {
			u.pollWake()
		}
	case tagOperation:
		if o := u.numbered(cqe.userData); o != nil {
			u.ended(o, cqe)
		}
	case tagOperation | cancelOf, tagStream | cancelOf:
		if syscall.Errno(-cqe.res) == unix.ENOENT {
			u.cancelMissed(cqe.userData &^ cancelOf)
		}
	case tagStream:
		u.arrived(u.streams[uint32(cqe.userData>>32)], cqe)
	}
}

// ended deals with the end of an operation in the kernel.
func (u *uring) ended(o *Overlapped, cqe uringCQE) {
	n, errno := int(cqe.res), syscall.Errno(0)
	if n < 0 {
		n, errno = 0, syscall.Errno(-cqe.res)
	}
	switch o.op {
	case opRecv, opRecvFrom:
		u.received(o, cqe)
	case opRead:
		if u.interrupted(o, errno) {
			return
		}
		err := errnoError(errno)
		if err == nil {
			n, err = fileRead(n, nil)
		}
		u.complete(o, n, err)
	case opSend, opSendTo, opWrite, opWriteGather:
		u.sent(o, n, errno)
	case opSync:
		if !u.interrupted(o, errno) {
			u.complete(o, 0, errnoError(errno))
		}
	default:
		u.polled(o, errno)
	}
}

// complete is Worker.complete for an operation that the kernel has ended.
func (u *uring) complete(o *Overlapped, n int, err error) {
	if w := o.desc.windowOf(o); w != nil {
		if next := w.leave(); next != nil {
			u.transfer(next)
		}
	}
	u.worker.complete(o, n, err)
}

// received deals with the end of a single receive.
func (u *uring) received(o *Overlapped, cqe uringCQE) {
	var errno syscall.Errno
	o.buffer, errno = u.taken(cqe)
	readable := cqe.flags&cqeSockNonEmpty != 0
	o.desc.readiness.readable = readable
	o.desc.stream.trust(int(cqe.res), readable)
	switch {
	case errno == unix.ENOBUFS && o.cancelled:
		u.complete(o, 0, ErrOperationAborted)
	case errno == unix.ENOBUFS:
		u.starved(o)
	case u.interrupted(o, errno):
	default:
		err := errnoError(errno)
		if o.op == opRecvFrom && err == nil {
			o.packet.received()
			err = o.packet.err()
		}
		u.complete(o, max(int(cqe.res), 0), err)
	}
}

// starved deals with a receive for which the buffer ring was empty. It waits
// for a buffer, and keeps its turn if that is gone when it is tried again.
func (u *uring) starved(o *Overlapped) {
	o.desc.readiness.readable = true
	u.buffers.enlarge()
	if o.starved {
		u.worker.buffers.waiting.pushFront(o)
	} else {
		u.worker.buffers.await(o)
	}
	o.starved = true
}

// feed lends the kernel buffers and starts the receives that waited for them,
// as many as can find one. Those have something to receive, so they end soon.
func (u *uring) feed() {
	u.buffers.fill()
	for n := u.worker.buffers.lent; n > 0; n-- {
		o := u.worker.buffers.next()
		if o == nil {
			return
		}
		o.starved = true
		u.submit(o)
	}
}

func (u *uring) released() {} // feed is called every turn

// sent deals with the end of a send or write, which may have been short.
func (u *uring) sent(o *Overlapped, n int, errno syscall.Errno) {
	o.done += n
	o.gather.advance(n)
	switch {
	case u.interrupted(o, errno):
	case errno != 0:
		if o.op == opSend {
			// The send may have taken the error that would have ended a
			// multishot receive. Armed anew, it sees that the stream has ended.
			u.stop(o.desc)
		}
		u.complete(o, o.done, errnoError(errno))
	case o.done == o.length():
		u.complete(o, o.done, nil)
	case o.cancelled:
		u.complete(o, o.done, ErrOperationAborted)
	case n == 0:
		u.complete(o, o.done, unix.ENOSPC)
	default:
		u.submit(o)
	}
}

// interrupted starts again what the kernel gave up for a reason of its own.
func (u *uring) interrupted(o *Overlapped, errno syscall.Errno) bool {
	if errno != unix.EINTR && errno != unix.EAGAIN {
		return false
	}
	if o.cancelled {
		u.complete(o, o.sent(), ErrOperationAborted)
	} else {
		u.submit(o)
	}
	return true
}

// polled attempts an operation whose descriptor is ready.
func (u *uring) polled(o *Overlapped, errno syscall.Errno) {
	switch {
	case o.cancelled || errno == unix.ECANCELED:
		o.bytes, o.err = o.sent(), ErrOperationAborted
	case errno != 0:
		o.bytes, o.err = o.sent(), errno
	case attempt(o) == again:
		u.submit(o)
		return
	}
	queue := o.queue
	queue.remove(o)
	if queue.first != nil {
		u.submit(queue.first)
	}
	u.worker.finish(o)
}

// shutdown stops the streams.
func (u *uring) shutdown() {
	for _, d := range u.streams {
		if d != nil {
			u.stop(d)
		}
	}
}

// idle reports whether no stream is armed.
func (u *uring) idle() bool { return len(u.unused) == len(u.streams) }

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
