package completion

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// canGather: there is a system call that writes several pieces.
const canGather = true

// attemptWriteGather writes what a stream takes.
func attemptWriteGather(o *Overlapped) outcome {
	for {
		vectors := o.gather.vectors()
		n, _, errno := unix.RawSyscall(unix.SYS_WRITEV, uintptr(o.desc.fd), uintptr(unsafe.Pointer(&vectors[0])), uintptr(len(vectors)))
		switch {
		case errno == unix.EINTR:
		case errno != 0:
			return o.outcome(o.done, errno)
		default:
			if o.wrote(int(n)); o.done == o.length() {
				return o.outcome(o.done, 0)
			}
		}
	}
}

func (o *Overlapped) wrote(n int) {
	o.done += n
	o.gather.advance(n)
}

// writeAllGather writes to a file on this thread, however long it takes.
func writeAllGather(o *Overlapped) (int, error) {
	for o.done < o.length() {
		n, errno := pwritev(o.desc.fd, o.gather.vectors(), o.ov.Offset+int64(o.done))
		switch {
		case errno == unix.EINTR:
		case errno != 0:
			return o.done, errno
		case n == 0:
			return o.done, unix.ENOSPC
		default:
			o.wrote(n)
		}
	}
	return o.done, nil
}

func pwritev(fd int, vectors []ioVector, offset int64) (int, syscall.Errno) {
	// The offset goes in two halves on systems of 32 bits; on others the second is ignored.
	n, _, errno := unix.Syscall6(unix.SYS_PWRITEV, uintptr(fd), uintptr(unsafe.Pointer(&vectors[0])), uintptr(len(vectors)), uintptr(offset), uintptr(uint64(offset)>>32), 0)
	return int(n), errno
}
