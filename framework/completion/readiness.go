package completion

// readiness is what a backend of the readiness kind knows of a descriptor.
type readiness struct {
	readable, writable bool // as far as known: an attempt is worth while
	cautious           bool // a short receive does not mean that everything has been received
	slot               uint32
	polled             bool // the backend watches it

	reads, writes opQueue // operations that wait for it
}

// queue returns the queue in which o waits.
func (r *readiness) queue(o *Overlapped) *opQueue {
	if o.op.reads() {
		return &r.reads
	}
	return &r.writes
}
