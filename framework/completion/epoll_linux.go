package completion

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// epoll is the backend for Linux systems that refuse io_uring. Descriptors are
// watched edge-triggered, for both directions, from their hooking to their
// close, so a transfer costs no system call but its own. Files, which are
// always "ready" and block all the same, go to the pool.
type epoll struct {
	worker *Worker
	fd     int
	event  int // eventfd that ends a wait
	events []unix.EpollEvent
	ready  int // of events

	watched     []*descriptor // by slot; what the kernel hands back
	generations []uint32
	unused      []uint32
}

const (
	epollBatch = 256
	wakeSlot   = 1<<32 - 1
)

func openEpoll(w *Worker) (backend, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		closeFD(fd)
		return nil, err
	}
	e := &epoll{worker: w, fd: fd, event: event, events: make([]unix.EpollEvent, epollBatch)}
	// Edge-triggered, so that the counter never has to be read.
	if err := e.add(event, unix.EPOLLIN|unix.EPOLLET, wakeSlot, 0); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *epoll) add(fd int, events uint32, slot, generation uint32) error {
	return unix.EpollCtl(e.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{
		Events: events, Fd: int32(slot), Pad: int32(generation),
	})
}

func (e *epoll) hook(d *descriptor) error {
	if d.file {
		return nil
	}
	slot := e.slot(d)
	err := e.add(d.fd, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET, slot, e.generations[slot])
	d.readiness.slot = slot
	d.readiness.polled = true
	if err == unix.EPERM { //nolint:errorlint // a system call returns a bare Errno
		// Neither a file nor something that can be watched, such as
		// /dev/null: it is always ready.
		d.readiness.readable, d.readiness.writable = true, true
		err = nil
	}
	if err != nil {
		e.forget(d)
	}
	return err
}

func (e *epoll) slot(d *descriptor) uint32 {
	if n := len(e.unused); n > 0 {
		slot := e.unused[n-1]
		e.unused = e.unused[:n-1]
		e.watched[slot] = d
		return slot
	}
	e.watched = append(e.watched, d)
	e.generations = append(e.generations, 0)
	return uint32(len(e.watched) - 1)
}

func (e *epoll) forget(d *descriptor) {
	if !d.readiness.polled {
		return
	}
	d.readiness.polled = false
	slot := d.readiness.slot
	e.watched[slot] = nil
	e.generations[slot]++
	e.unused = append(e.unused, slot)
}

func (e *epoll) start(o *Overlapped) {
	d := o.desc
	if o.op == opSync || d.file {
		e.worker.port.pool.submit(d.lane, o)
		return
	}
	queue := d.readiness.queue(o)
	if queue.empty() && d.readiness.worth(o) && e.attempt(o) != again {
		return
	}
	queue.push(o)
}

// worth reports whether an attempt of o may succeed now.
func (r *readiness) worth(o *Overlapped) bool {
	if o.op.reads() {
		return r.readable
	}
	return r.writable
}

// attempt tries o and queues its notification if it has ended.
func (e *epoll) attempt(o *Overlapped) outcome {
	r := &o.desc.readiness
	result := attempt(o)
	switch result {
	case again:
		if o.op.reads() {
			r.readable = false
		} else {
			r.writable = false
		}
	case starved:
		e.worker.buffers.await(o)
	case ended:
		if o.op == opRecv && r.drained && !r.hungUp {
			r.readable = false
		}
		e.worker.end(o, o.bytes, o.err)
	}
	return result
}

func (e *epoll) cancel(o *Overlapped) {
	o.desc.readiness.queue(o).remove(o)
	e.worker.end(o, o.sent(), ErrOperationAborted)
}

func (e *epoll) wait(patience time.Duration) {
	if patience != 0 {
		e.sleep(patience)
	} else {
		e.poll()
	}
}

func (e *epoll) reap() {
	for i := range e.events[:e.ready] {
		e.dispatch(&e.events[i])
	}
	e.ready = 0
}

func (e *epoll) dispatch(ev *unix.EpollEvent) {
	slot := uint32(ev.Fd)
	if slot == wakeSlot || e.generations[slot] != uint32(ev.Pad) {
		return
	}
	d := e.watched[slot]
	r := &d.readiness
	if ev.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		r.readable = true
		r.hungUp = r.hungUp || ev.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
		e.drain(&r.reads)
	}
	if ev.Events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		r.writable = true
		e.drain(&r.writes)
	}
}

// drain attempts the operations that waited, in their order.
func (e *epoll) drain(q *opQueue) {
	for o := q.first; o != nil; o = q.first {
		q.pop()
		if e.attempt(o) == again {
			q.pushFront(o)
			return
		}
	}
}

// poll looks for events without waiting.
func (e *epoll) poll() {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.fd), uintptr(unsafe.Pointer(&e.events[0])), uintptr(len(e.events)), 0, 0, 0)
	e.got(n, errno)
}

// sleep waits for an event, a wake-up, or the end of patience.
func (e *epoll) sleep(patience time.Duration) {
	w := e.worker
	w.sleeping.Store(true)
	defer w.sleeping.Store(false)
	if w.hasRemote() {
		e.poll()
		return
	}
	timeout := -1
	if patience > 0 {
		timeout = int((patience + time.Millisecond - 1) / time.Millisecond)
	}
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.fd), uintptr(unsafe.Pointer(&e.events[0])), uintptr(len(e.events)), uintptr(timeout), 0, 0)
	e.got(n, errno)
}

// got notes how many events there are; after EINTR, none.
func (e *epoll) got(n uintptr, errno syscall.Errno) {
	if errno == 0 {
		e.ready = int(n)
	}
}

func (e *epoll) wake() { wakeEvent(e.event) }

// wakeEvent adds to an eventfd.
func wakeEvent(fd int) {
	one := uint64(1)
	_, _ = unix.Write(fd, (*[8]byte)(unsafe.Pointer(&one))[:]) // it fails only when the counter is full, and then a wake-up is due anyway
}

func (e *epoll) released() {
	o := e.worker.buffers.waiting.pop()
	if o != nil && e.attempt(o) == again {
		o.desc.readiness.queue(o).push(o)
	}
}

func (e *epoll) shutdown() {}

func (e *epoll) close() {
	closeFD(e.event)
	closeFD(e.fd)
}
