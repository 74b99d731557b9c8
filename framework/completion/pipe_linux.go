//go:build !portable

package completion

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func (p *Pipe) open() error {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return os.NewSyscallError("pipe2", err)
	}
	p.read, p.write = fds[0], fds[1]
	_, _ = unix.FcntlInt(uintptr(p.write), unix.F_SETPIPE_SZ, pipeSize) // a smaller one does as well
	return nil
}

func (p *Pipe) close() {
	closeFD(p.read)
	closeFD(p.write)
}

// attemptSplice moves bytes between a socket and a pipe.
func attemptSplice(o *Overlapped) outcome {
	if o.op == opSpliceIn {
		return attemptSpliceIn(o)
	}
	return attemptSpliceOut(o)
}

// attemptSpliceIn moves what there is into the pipe.
func attemptSpliceIn(o *Overlapped) outcome {
	n, errno := rawSplice(o.desc.fd, o.pipe.write, pipeSize)
	if errno == unix.EAGAIN || errno == 0 && n == 0 {
		n, errno = o.pipe.takeUrgent(o.desc.fd)
	}
	if errno == 0 {
		o.pipe.held = n
	}
	return o.outcome(n, errno)
}

// takeUrgent receives the byte at which the kernel does not splice, because it was
// sent as urgent: it says that there is nothing, or that the stream has ended.
func (p *Pipe) takeUrgent(fd int) (int, syscall.Errno) {
	var b [1]byte
	n, errno := rawRecv(fd, b[:])
	if errno != 0 || n == 0 {
		return 0, errno
	}
	return rawWrite(p.write, b[:])
}

// attemptSpliceOut sends what is in the pipe.
func attemptSpliceOut(o *Overlapped) outcome {
	for {
		n, errno := rawSplice(o.pipe.read, o.desc.fd, o.pipe.held)
		if errno != 0 {
			return o.outcome(o.done, errno)
		}
		o.done += n
		if o.pipe.held -= n; o.pipe.held == 0 {
			return o.outcome(o.done, 0)
		}
	}
}

func rawSplice(from, to, n int) (int, syscall.Errno) {
	for {
		moved, _, errno := unix.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		if errno != unix.EINTR {
			return int(moved), errno
		}
	}
}
