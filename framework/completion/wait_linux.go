//go:build !portable

package completion

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// waitCall makes the system call in which a worker waits. Go's scheduler is not told of it:
// it would look every few microseconds whether the thread still waits, which costs a busy
// gateway more than the waiting. When it wants something of the thread, a garbage collection
// for one, it sends a signal; and it sends one anyway when a thread has not been heard of for
// 10 ms. A signal ends the wait, and the next one is a wait that the scheduler is told of. So
// a worker with nothing to do is a blocked thread like any other.
func (w *Worker) waitCall(call, a, b, c, d, e, f uintptr) (n uintptr, errno syscall.Errno) {
	if keepProcessor && !w.disturbed {
		n, _, errno = unix.RawSyscall6(call, a, b, c, d, e, f)
	} else {
		n, _, errno = unix.Syscall6(call, a, b, c, d, e, f)
	}
	w.disturbed = errno == unix.EINTR
	return n, errno
}
