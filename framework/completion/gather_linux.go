//go:build !portable

package completion

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// gatherRoom is the pieces as the system call wants them.
type gatherRoom []ioVector

// ioVector is a struct iovec.
type ioVector struct {
	base *byte
	len  uintptr
}

// maxVectors is how many pieces a system call takes (IOV_MAX).
const maxVectors = 1024

// vectors describes what is still to be written, as much as one call takes.
func (g *gather) vectors() []ioVector {
	g.room = g.room[:0]
	for _, p := range g.pieces[:min(len(g.pieces), maxVectors)] {
		g.room = append(g.room, ioVector{unsafe.SliceData(p), uintptr(len(p))})
	}
	return g.room
}

// writeGather writes to a stream.
func writeGather(o *Overlapped) (int, syscall.Errno) {
	vectors := o.gather.vectors()
	n, _, errno := unix.RawSyscall(unix.SYS_WRITEV, uintptr(o.desc.fd), uintptr(unsafe.Pointer(&vectors[0])), uintptr(len(vectors)))
	return int(n), errno
}

// pwriteGather writes to a file.
func pwriteGather(o *Overlapped) (int, syscall.Errno) {
	vectors, offset := o.gather.vectors(), o.ov.Offset+int64(o.done)
	// The offset goes in two halves on systems of 32 bits; on others the second is ignored.
	n, _, errno := unix.Syscall6(unix.SYS_PWRITEV, uintptr(o.desc.fd), uintptr(unsafe.Pointer(&vectors[0])), uintptr(len(vectors)), uintptr(offset), uintptr(uint64(offset)>>32), 0)
	return int(n), errno
}
