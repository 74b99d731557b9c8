//go:build !portable

package completion

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ring is an io_uring: the submission and the completion queue that are shared
// with the kernel. Only the thread that made it uses it.
type ring struct {
	fd  int
	mem []byte // both queues' indices and the completions
	sqm []byte // the submissions

	sqHead, sqTail *uint32
	sqMask         uint32
	sqes           []uringSQE
	tail           uint32 // of what has been filled in; *sqTail is what the kernel may see

	cqHead, cqTail *uint32
	cqMask         uint32
	cqes           []uringCQE

	arg     uringGetEventsArg
	timeout unix.Timespec
}

const (
	sqEntries = 1024
	cqEntries = 8192
)

// openRing sets up a ring as the backend needs it. Older kernels refuse the
// flags: single issuer and deferred task work came with Linux 6.1. entries is
// the size of a test's submission queue, 0 otherwise.
func openRing(entries uint32) (*ring, error) {
	p := uringParams{
		flags:     setupCQSize | setupClamp | setupSubmitAll | setupSingleIssuer | setupDeferTaskrun,
		cqEntries: cqEntries,
	}
	if entries == 0 {
		entries = sqEntries
	} else {
		p.cqEntries = 2 * entries
	}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, os.NewSyscallError("io_uring_setup", errno)
	}
	r := &ring{fd: int(fd)}
	if err := r.mapQueues(&p); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *ring) mapQueues(p *uringParams) error {
	const wanted = featSingleMmap | featNoDrop | featFastPoll | featExtArg
	if p.features&wanted != wanted {
		return fmt.Errorf("io_uring of this kernel lacks features: has %#x, wants %#x", p.features, wanted)
	}
	size := max(
		p.sqOff.array+p.sqEntries*4,
		p.cqOff.cqes+p.cqEntries*uint32(unsafe.Sizeof(uringCQE{})),
	)
	var err error
	r.mem, err = unix.Mmap(r.fd, offSQRing, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return os.NewSyscallError("mmap of an io_uring", err)
	}
	r.sqm, err = unix.Mmap(r.fd, offSQEs, int(p.sqEntries)*int(unsafe.Sizeof(uringSQE{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return os.NewSyscallError("mmap of an io_uring", err)
	}
	r.sqHead, r.sqTail = r.word(p.sqOff.head), r.word(p.sqOff.tail)
	r.sqMask = *r.word(p.sqOff.ringMask)
	r.sqes = unsafe.Slice((*uringSQE)(unsafe.Pointer(&r.sqm[0])), p.sqEntries)
	r.cqHead, r.cqTail = r.word(p.cqOff.head), r.word(p.cqOff.tail)
	r.cqMask = *r.word(p.cqOff.ringMask)
	r.cqes = unsafe.Slice((*uringCQE)(unsafe.Pointer(&r.mem[p.cqOff.cqes])), p.cqEntries)
	r.tail = *r.sqTail
	// Submissions are used in order, so the indirection never changes.
	array := unsafe.Slice(r.word(p.sqOff.array), p.sqEntries)
	for i := range array {
		array[i] = uint32(i)
	}
	return nil
}

func (r *ring) word(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.mem[offset])) }

// next returns a cleared submission to fill in. When the queue is full, what
// is in it is submitted first.
func (r *ring) next() *uringSQE {
	for r.filled() >= uint32(len(r.sqes)) {
		r.enter(0)
	}
	sqe := &r.sqes[r.tail&r.sqMask]
	*sqe = uringSQE{}
	r.tail++
	return sqe
}

// filled returns how many submissions the kernel has not taken yet.
func (r *ring) filled() uint32 { return r.tail - atomic.LoadUint32(r.sqHead) }

// enter submits what has been filled in and lets the kernel post completions,
// without waiting.
func (r *ring) enter(flags uintptr) {
	submit := r.publish()
	_, _, _ = unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(submit), 0, flags, 0, 0)
	// On an error (EINTR, EAGAIN, EBUSY) the kernel has moved the head as far
	// as it got, and the next call submits the rest.
}

// wait is enter that waits for a completion or the end of patience (-1: never).
func (r *ring) wait(w *Worker, patience time.Duration) {
	submit := r.publish()
	flags := uintptr(enterGetEvents)
	var arg, size uintptr
	if patience > 0 {
		r.timeout = unix.NsecToTimespec(int64(patience))
		r.arg.ts = uint64(uintptr(unsafe.Pointer(&r.timeout)))
		arg, size = uintptr(unsafe.Pointer(&r.arg)), unsafe.Sizeof(r.arg)
		flags |= enterExtArg
	}
	_, _ = w.waitCall(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(submit), 1, flags, arg, size)
}

// publish lets the kernel see what has been filled in and returns how much of
// it the kernel has not taken.
func (r *ring) publish() uint32 {
	atomic.StoreUint32(r.sqTail, r.tail)
	return r.filled()
}

// reap takes a completion off the queue.
func (r *ring) reap() (cqe uringCQE, ok bool) {
	head := *r.cqHead
	if head == atomic.LoadUint32(r.cqTail) {
		return cqe, false
	}
	cqe = r.cqes[head&r.cqMask]
	atomic.StoreUint32(r.cqHead, head+1)
	return cqe, true
}

func (r *ring) empty() bool { return *r.cqHead == atomic.LoadUint32(r.cqTail) }

func (r *ring) register(code, arg, count uintptr) error {
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), code, arg, count, 0, 0)
	if errno != 0 {
		return os.NewSyscallError("io_uring_register", errno)
	}
	return nil
}

func (r *ring) close() {
	if r.sqm != nil {
		releaseMemory(r.sqm)
	}
	if r.mem != nil {
		releaseMemory(r.mem)
	}
	closeFD(r.fd)
}
