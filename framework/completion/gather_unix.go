//go:build unix

package completion

import "golang.org/x/sys/unix"

// attemptWriteGather writes what a stream takes.
func attemptWriteGather(o *Overlapped) outcome {
	for {
		n, errno := writeGather(o)
		switch {
		case errno == unix.EINTR:
		case errno != 0:
			return o.outcome(o.done, errno)
		default:
			if o.wrote(n); o.done == o.length() {
				return o.outcome(o.done, 0)
			}
		}
	}
}

// writeAllGather writes to a file on this thread, however long it takes.
func writeAllGather(o *Overlapped) (int, error) {
	for o.done < o.length() {
		n, errno := pwriteGather(o)
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
