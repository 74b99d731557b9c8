package completion

// attempts is what the backends have in common whose system only tells when a
// descriptor is ready: an operation is attempted when it may succeed, and until then
// waits in a queue of the descriptor. Files, which are always "ready" and block all
// the same, go to the pool.
type attempts struct {
	worker  *Worker
	attempt func(*Overlapped) outcome
	missed  func(*descriptor) // called, if it is set, when there was nothing to read
}

func (a *attempts) start(o *Overlapped) {
	d := o.desc
	if o.op == opSync || d.file {
		a.worker.offload(d.lane, o)
		return
	}
	queue := d.readiness.queue(o)
	if queue.empty() && d.readiness.worth(o) && a.try(o) != again {
		return
	}
	queue.push(o)
}

// try attempts o and queues its notification if it has ended.
func (a *attempts) try(o *Overlapped) outcome {
	r := &o.desc.readiness
	result := a.attempt(o)
	switch result {
	case again:
		if !o.op.reads() {
			r.writable = false
			break
		}
		r.readable = false
		if a.missed != nil {
			a.missed(o.desc)
		}
	case starved:
		a.worker.buffers.await(o)
	case ended:
		if b := o.buffer; b != nil && !b.Full() && !r.cautious {
			r.readable = false // so the next event is waited for, which saves an attempt
		}
		a.worker.end(o, o.bytes, o.err)
	}
	return result
}

// became attempts what waited for d, which the system says has become ready.
func (a *attempts) became(d *descriptor, readable, writable bool) {
	r := &d.readiness
	if readable {
		r.readable = true
		a.drain(&r.reads)
	}
	if writable {
		r.writable = true
		a.drain(&r.writes)
	}
}

// drain attempts the operations that waited, in their order.
func (a *attempts) drain(q *opQueue) {
	for o := q.pop(); o != nil; o = q.pop() {
		if a.try(o) == again {
			q.pushFront(o)
			return
		}
	}
}

func (a *attempts) cancel(o *Overlapped) {
	o.queue.remove(o)
	a.worker.end(o, o.sent(), ErrOperationAborted)
}

func (a *attempts) released() {
	// More than one attempt, because one may end without using the buffer.
	pool := &a.worker.buffers
	for pool.available() {
		o := pool.next()
		if o == nil {
			return
		}
		if a.try(o) == again {
			o.desc.readiness.reads.push(o)
		}
	}
}

func (a *attempts) shutdown()  {}
func (a *attempts) idle() bool { return true }
