package completion

// readiness is what a backend of the readiness kind knows of a descriptor.
type readiness struct {
	readable, writable bool // as far as known: an attempt is worth while
	cautious           bool // a short receive does not mean that everything has been received
	urgent             bool // there is something to read, and urgent data in it
	polled             bool // the backend watches it
	slot               uint32

	reads, writes opQueue // operations that wait for it
}

// queue returns the queue in which o waits.
func (r *readiness) queue(o *Overlapped) *opQueue {
	if o.op.reads() {
		return &r.reads
	}
	return &r.writes
}

// worth reports whether an attempt of o may succeed now.
func (r *readiness) worth(o *Overlapped) bool {
	if o.op.reads() {
		return r.readable
	}
	return r.writable
}

// outcome is how the attempt of an operation went.
type outcome uint8

const (
	ended   outcome = iota // o.bytes and o.err are set
	again                  // the descriptor is not ready
	starved                // there is no receive buffer
)
