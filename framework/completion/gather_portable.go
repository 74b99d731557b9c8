//go:build unix && (!linux || portable)

package completion

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// gatherRoom is nothing: the pieces are written one by one.
type gatherRoom struct{}

// writeGather writes the first piece to a stream. A call that takes several has
// not every system.
func writeGather(o *Overlapped) (int, syscall.Errno) {
	return rawWrite(o.desc.fd, o.gather.pieces[0])
}

// pwriteGather writes the first piece to a file.
func pwriteGather(o *Overlapped) (int, syscall.Errno) {
	n, err := unix.Pwrite(o.desc.fd, o.gather.pieces[0], o.ov.Offset+int64(o.done))
	return n, errnoOf(err)
}
