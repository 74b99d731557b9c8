package completion

import (
	"errors"
	"unsafe"
)

// gather is what a gathering write has still to write: pieces of the caller's
// memory, and room for their description as the system wants it.
type gather struct {
	pieces [][]byte
	total  int // bytes, written ones included
	iov    []ioVector
}

// ioVector is a struct iovec.
type ioVector struct {
	base *byte
	len  uintptr
}

// maxVectors is how many pieces a system call takes (IOV_MAX).
const maxVectors = 1024

// WriteFileGather is WriteFile for data in several pieces, which are written
// one behind the other at ov.Offset. The pieces, but not the slice of them,
// belong to the port until the completion and must not change.
// On Windows it is errors.ErrUnsupported.
func (h *Handle) WriteFileGather(ov *OVERLAPPED, bufs [][]byte) error {
	if !canGather {
		return errors.ErrUnsupported
	}
	g := &gather{pieces: make([][]byte, 0, len(bufs))}
	for _, b := range bufs {
		if len(b) > 0 {
			g.pieces = append(g.pieces, b)
			g.total += len(b)
		}
	}
	if ov == nil || ov.owner == nil || ov.Offset < 0 || g.total == 0 {
		return ErrInvalidArgument
	}
	op := opWriteGatherStream
	if h.file {
		op = opWriteGather
	}
	o := ov.owner
	if err := h.begin(o, op); err != nil {
		return err
	}
	o.gather = g
	h.worker.backend.start(o)
	return nil
}

// vectors describes what is still to be written, as much as one call takes.
func (g *gather) vectors() []ioVector {
	g.iov = g.iov[:0]
	for _, p := range g.pieces[:min(len(g.pieces), maxVectors)] {
		g.iov = append(g.iov, ioVector{unsafe.SliceData(p), uintptr(len(p))})
	}
	return g.iov
}

// advance notes that n bytes more have been written.
func (g *gather) advance(n int) {
	if g == nil {
		return
	}
	for n > 0 {
		first := g.pieces[0]
		if n < len(first) {
			g.pieces[0] = first[n:]
			return
		}
		n -= len(first)
		g.pieces = g.pieces[1:]
	}
}

// length returns how many bytes o has to transfer.
func (o *Overlapped) length() int {
	if o.gather != nil {
		return o.gather.total
	}
	return len(o.buf)
}
