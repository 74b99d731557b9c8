//go:build !portable

package completion

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// epoll is the backend for Linux systems that refuse io_uring. Descriptors are
// watched edge-triggered, for both directions, from their hooking to their
// close, so a transfer costs no system call but its own.
type epoll struct {
	attempts
	fd     int
	event  int // eventfd that ends a wait
	events []unix.EpollEvent
	ready  int // of events
	next   int // of those, the next to be dispatched

	timeout unix.Timespec
	coarse  bool // the kernel waits in milliseconds only: before Linux 5.11

	watched     []*descriptor // by slot; what the kernel hands back
	generations []uint32
	unused      []uint32
}

const (
	watchedEvents = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLET
	// What makes an attempt to read worth while, and what besides means that
	// there may be more to come than one short receive has taken: the end of
	// the stream, an error, or urgent data, at which a receive stops.
	readEvents    = unix.EPOLLIN | cautionEvents
	cautionEvents = unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	writeEvents   = unix.EPOLLOUT | unix.EPOLLHUP | unix.EPOLLERR

	// At an urgent mark a receive ends as if there were nothing if the thread gets
	// a signal, and Go's scheduler sends many.
	urgentEvents = unix.EPOLLPRI | unix.EPOLLIN

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
	e := &epoll{fd: fd, event: event, events: make([]unix.EpollEvent, epollBatch)}
	e.attempts = attempts{worker: w, attempt: attempt, missed: e.lookAgain}
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

// lookAgain has the kernel tell anew what d is ready for, if an attempt may have
// missed that there is something.
func (e *epoll) lookAgain(d *descriptor) {
	r := &d.readiness
	if !r.urgent {
		return
	}
	r.urgent = false
	_ = unix.EpollCtl(e.fd, unix.EPOLL_CTL_MOD, d.fd, &unix.EpollEvent{ // it is watched
		Events: watchedEvents, Fd: int32(r.slot), Pad: int32(e.generations[r.slot]),
	})
}

func (e *epoll) hook(d *descriptor) error {
	if d.file {
		return nil
	}
	slot := e.slot(d)
	err := e.add(d.fd, watchedEvents, slot, e.generations[slot])
	d.readiness.slot = slot
	d.readiness.polled = true
	d.readiness.writable = true // most often; an attempt will tell
	if err == unix.EPERM {      //nolint:errorlint // a system call returns a bare Errno
		// Neither a file nor something that can be watched, such as
		// /dev/null: it is always ready.
		d.readiness.readable = true
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

func (e *epoll) forget(d *descriptor) bool {
	if !d.readiness.polled {
		return true
	}
	d.readiness.polled = false
	if d.shared {
		// The open file description may live on, and its events with it.
		_ = unix.EpollCtl(e.fd, unix.EPOLL_CTL_DEL, d.fd, nil) // ENOENT: it cannot be watched
	}
	slot := d.readiness.slot
	e.watched[slot] = nil
	e.generations[slot]++
	e.unused = append(e.unused, slot)
	return true
}

func (e *epoll) wait(patience time.Duration) {
	switch {
	case e.next < e.ready: // the turn before had no time for them
	case patience != 0:
		e.sleep(patience)
	default:
		e.poll()
	}
}

func (e *epoll) reap() {
	turn := e.worker.shareFromTick()
	for e.next < e.ready {
		if turn.over(e.worker) {
			return
		}
		e.next++
		e.dispatch(&e.events[e.next-1])
	}
	e.next, e.ready = 0, 0
}

func (e *epoll) dispatch(ev *unix.EpollEvent) {
	slot := uint32(ev.Fd)
	if slot == wakeSlot || e.generations[slot] != uint32(ev.Pad) {
		return
	}
	d := e.watched[slot]
	r := &d.readiness
	r.cautious = r.cautious || ev.Events&cautionEvents != 0
	r.urgent = ev.Events&urgentEvents == urgentEvents
	e.became(d, ev.Events&readEvents != 0, ev.Events&writeEvents != 0)
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
	if patience > 0 && !e.coarse {
		e.timeout = unix.NsecToTimespec(int64(patience))
		n, errno := w.waitCall(unix.SYS_EPOLL_PWAIT2, uintptr(e.fd), uintptr(unsafe.Pointer(&e.events[0])), uintptr(len(e.events)), uintptr(unsafe.Pointer(&e.timeout)), 0, 0)
		if errno != unix.ENOSYS && errno != unix.EPERM {
			e.got(n, errno)
			return
		}
		e.coarse = true
	}
	timeout := -1
	if patience > 0 {
		timeout = int((patience + time.Millisecond - 1) / time.Millisecond)
	}
	n, errno := w.waitCall(unix.SYS_EPOLL_PWAIT, uintptr(e.fd), uintptr(unsafe.Pointer(&e.events[0])), uintptr(len(e.events)), uintptr(timeout), 0, 0)
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

func (e *epoll) close() {
	closeFD(e.event)
	closeFD(e.fd)
}
