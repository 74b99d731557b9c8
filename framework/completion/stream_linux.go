//go:build !portable

package completion

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// stream is the receiving side of a socket on io_uring. One multishot receive,
// armed by the first Recv, posts a completion for whatever arrives, so that the
// Recv after each chunk costs the kernel nothing: it only says who is told next.
//
// What arrives while nobody waits is kept, and the multishot receive is stopped:
// the sender is faster than what is behind the socket. Then receives are single
// for a while, which is also what bulk transfers want, because the multishot
// receive would cut their data into many small buffers at once.
type stream struct {
	waiting     *Overlapped
	first, last *Buffer // arrived while nobody waited
	slot        uint32  // in uring.streams, while armed
	single      int8    // receives still to be made one by one
	armed       bool
	stopping    bool
	ended       bool // the stream, or the socket with errno
	errno       syscall.Errno
}

const (
	// singleReceives is how many small receives that empty the socket it takes
	// until a stream that was too fast is trusted with a multishot one again.
	singleReceives = 16
	// smallReceive is what a small one brings, in bytes, at the most.
	smallReceive = 16 << 10
)

// ahead reports whether data may have been received that nobody has asked for.
func (s *stream) ahead() bool { return s.armed || s.first != nil || s.ended }

// trust notes what a single receive has brought.
func (s *stream) trust(n int, more bool) {
	switch {
	case s.single == 0:
	case n > smallReceive:
		s.single = singleReceives
	case !more:
		s.single--
	}
}

// receive starts a receive. What has arrived, or is arriving, on the stream
// comes first. If there is something to receive, and others wait for a buffer
// to do so, it waits behind them.
func (u *uring) receive(o *Overlapped) {
	d := o.desc
	s, starved := &d.stream, &u.worker.buffers.waiting
	switch {
	case s.first != nil:
		o.buffer = s.pop()
		u.worker.end(o, o.buffer.n, nil)
	case s.ended:
		u.worker.end(o, 0, errnoError(s.errno))
	case s.armed:
		s.waiting = o
		if d.readiness.readable {
			u.promised = append(u.promised, d)
		}
	case d.readiness.readable && !starved.empty():
		u.worker.buffers.await(o)
	case s.single > 0 || u.worker.buffers.tight(0): // a multishot one would bring more than is asked for
		u.submit(o)
	case d.readiness.cautious: // of a unix socket a multishot one misses an end that comes with the data
		u.submit(o)
	default:
		s.waiting = o
		u.arm(d)
	}
}

func (u *uring) arm(d *descriptor) {
	s := &d.stream
	s.armed = true
	if n := len(u.unused); n > 0 {
		s.slot = u.unused[n-1]
		u.unused = u.unused[:n-1]
		u.streams[s.slot] = d
	} else {
		s.slot = uint32(len(u.streams))
		u.streams = append(u.streams, d)
	}
	sqe := u.ring.next()
	sqe.opcode = opcodeRecv
	sqe.fd = int32(d.fd)
	sqe.flags = sqeBufferSelect
	sqe.bufGroup = bufferGroup
	sqe.ioprio = recvMultishot
	if !d.readiness.readable {
		sqe.ioprio |= recvPollFirst
	}
	sqe.userData = s.number()
}

// checkPromised stops the multishot receives that have said that there is more and
// not brought it with all else that has ended; a single one looks again. At an urgent
// mark a receive ends as if there were nothing if the thread gets a signal, and Go's
// scheduler sends many.
func (u *uring) checkPromised() {
	for i, d := range u.promised {
		if s := &d.stream; s.waiting != nil && d.readiness.readable {
			s.single = singleReceives
			u.stop(d)
		}
		u.promised[i] = nil
	}
	u.promised = u.promised[:0]
}

// number is what the kernel hands back for the multishot receive. The slot is
// free again only after the last completion, so it needs no generation.
func (s *stream) number() uint64 { return uint64(s.slot)<<32 | tagStream }

// stop asks for the end of the multishot receive.
func (u *uring) stop(d *descriptor) {
	s := &d.stream
	if !s.armed || s.stopping {
		return
	}
	s.stopping = true
	u.requestCancel(s.number())
}

// arrived deals with a completion of a multishot receive.
func (u *uring) arrived(d *descriptor, cqe uringCQE) {
	s := &d.stream
	d.readiness.readable = cqe.flags&cqeSockNonEmpty != 0
	if cqe.flags&cqeMore == 0 {
		s.armed, s.stopping = false, false
		u.streams[s.slot] = nil
		u.unused = append(u.unused, s.slot)
	}
	b, errno := u.taken(cqe)
	o := s.waiting
	s.waiting = nil
	switch {
	case b != nil && o != nil:
		o.buffer = b
		u.worker.complete(o, b.n, nil)
	case b != nil:
		s.push(u.keep(b))
		s.single = singleReceives
		u.stop(d)
	case errno == unix.ENOBUFS && o != nil:
		u.starved(o)
	case (errno == unix.ECANCELED || errno == unix.EINTR || errno == unix.EAGAIN) && o != nil:
		u.start(o)
	case errno == unix.ENOBUFS || errno == unix.ECANCELED:
	default:
		s.ended, s.errno = true, errno
		if o != nil {
			u.worker.complete(o, 0, errnoError(errno))
		}
	}
	if d.closed && !s.armed {
		d.closeWhenIdle()
	}
}

// keep returns b for a receive that is still to come. When buffers are scarce
// it is a copy off the pool instead: otherwise those who wait for a buffer could
// wait for somebody who waits for them.
func (u *uring) keep(b *Buffer) *Buffer {
	if !u.buffers.scarce() {
		return b
	}
	return b.pool.copyOf(b)
}

// taken returns the buffer that a completion of a receive brought, nil without
// data, and its error.
func (u *uring) taken(cqe uringCQE) (*Buffer, syscall.Errno) {
	var b *Buffer
	if cqe.flags&cqeBuffer != 0 {
		b = u.buffers.take(uint16(cqe.flags >> cqeBufferShift))
		b.n = int(max(cqe.res, 0))
		if b.n == 0 {
			u.worker.buffers.putBack(b)
			b = nil
		}
	}
	if cqe.res < 0 {
		return b, syscall.Errno(-cqe.res)
	}
	return b, 0
}

// leave takes o off its stream; false if it is not the one that waits there.
// What arrives later is kept for the next receive.
func (s *stream) leave(o *Overlapped) bool {
	if s.waiting != o {
		return false
	}
	s.waiting = nil
	return true
}

// forget gives up what has arrived on a socket that is being closed. False: the
// multishot receive has not ended yet.
func (u *uring) forget(d *descriptor) bool {
	s := &d.stream
	if s.armed {
		u.stop(d)
		return false
	}
	u.windows.close(d)
	for s.first != nil {
		s.pop().Release()
	}
	return true
}

func (s *stream) push(b *Buffer) {
	if s.last == nil {
		s.first = b
	} else {
		s.last.next = b
	}
	s.last = b
}

func (s *stream) pop() *Buffer {
	b := s.first
	s.first, b.next = b.next, nil
	if s.first == nil {
		s.last = nil
	}
	return b
}
