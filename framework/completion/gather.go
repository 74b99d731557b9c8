package completion

// gather is what a gathering write has still to write: pieces of the caller's
// memory, and room for what the system is to be given of them.
type gather struct {
	pieces [][]byte
	total  int // bytes, written ones included
	room   gatherRoom
}

// WriteFileGather is WriteFile for data in several pieces, which are written
// one behind the other at ov.Offset. The pieces, but not the slice of them,
// belong to the port until the completion and must not change.
func (h *Handle) WriteFileGather(ov *OVERLAPPED, bufs [][]byte) error {
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
	if err := h.opened(op); err != nil {
		return err
	}
	o := ov.owner
	if err := h.begin(o, op); err != nil {
		return err
	}
	o.gather = g
	h.worker.backend.start(o)
	return nil
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

// wrote notes how much has been written.
func (o *Overlapped) wrote(n int) {
	o.done += n
	o.gather.advance(n)
}

// length returns how many bytes o has to transfer.
func (o *Overlapped) length() int {
	if o.gather != nil {
		return o.gather.total
	}
	return len(o.buf)
}
