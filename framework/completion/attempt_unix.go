//go:build unix

package completion

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// attempt tries to do the operation of o on a descriptor in non-blocking mode.
func attempt(o *Overlapped) outcome {
	switch o.op {
	case opRecv:
		return attemptRecv(o)
	case opSend:
		return attemptSend(o)
	case opAccept:
		return attemptAccept(o)
	case opConnect:
		return attemptConnect(o)
	case opReadStream:
		return attemptRead(o)
	case opWriteStream:
		return attemptWrite(o)
	case opRecvFrom:
		return attemptRecvFrom(o)
	case opSendTo:
		return attemptSendTo(o)
	case opWriteGatherStream:
		return attemptWriteGather(o)
	case opSpliceIn, opSpliceOut:
		return attemptSplice(o)
	default:
		panic(fmt.Sprintf("completion: operation %d is not one of readiness", o.op))
	}
}

func attemptRecv(o *Overlapped) outcome {
	pool := &o.worker.buffers
	b := pool.get()
	if b == nil {
		return starved
	}
	n, errno := rawRecv(o.desc.fd, pool.space(b))
	if errno != 0 || n == 0 {
		pool.putBack(b)
		return o.outcome(0, errno)
	}
	b.n = n
	o.buffer = b
	return o.outcome(n, 0)
}

func attemptSend(o *Overlapped) outcome {
	for {
		n, errno := rawSend(o.desc.fd, o.rest())
		if errno != 0 {
			return o.outcome(o.done, errno)
		}
		if o.done += n; o.done == len(o.buf) {
			return o.outcome(o.done, 0)
		}
	}
}

func attemptAccept(o *Overlapped) outcome {
	fd, sa, err := acceptSocket(o.desc.fd)
	if err != nil {
		errno, _ := err.(syscall.Errno) //nolint:errorlint // a system call returns a bare Errno
		return o.outcome(0, errno)
	}
	// What newSocket has set on the listener, the connection inherits.
	o.value = Accepted{fd: fd, Remote: fromSockaddr(sa)}
	return o.outcome(0, 0)
}

// attemptConnect looks how the connection that openSocket began has gone.
func attemptConnect(o *Overlapped) outcome {
	code, err := unix.GetsockoptInt(o.desc.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		o.err = err
		return ended
	}
	if code == 0 && !connected(o.desc.fd) {
		return again
	}
	return o.outcome(0, syscall.Errno(code))
}

// connected tells a spurious wake-up from a connection that stands.
func connected(fd int) bool {
	_, err := unix.Getpeername(fd)
	return err == nil
}

func attemptRead(o *Overlapped) outcome {
	n, errno := rawRead(o.desc.fd, o.buf)
	if errno == 0 && n == 0 {
		o.err = ErrHandleEOF
		return ended
	}
	return o.outcome(n, errno)
}

func attemptWrite(o *Overlapped) outcome {
	for {
		n, errno := rawWrite(o.desc.fd, o.rest())
		if errno != 0 {
			return o.outcome(o.done, errno)
		}
		if o.done += n; o.done == len(o.buf) {
			return o.outcome(o.done, 0)
		}
	}
}

// outcome records the result of a system call.
func (o *Overlapped) outcome(n int, errno syscall.Errno) outcome {
	if errno == unix.EAGAIN {
		return again
	}
	o.bytes, o.err = n, errnoError(errno)
	return ended
}

// errnoError avoids a typed nil and gives a cancelled operation its name.
func errnoError(errno syscall.Errno) error {
	switch errno {
	case 0:
		return nil
	case unix.ECANCELED:
		return ErrOperationAborted
	default:
		return errno
	}
}
