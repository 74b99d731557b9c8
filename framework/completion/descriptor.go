package completion

// descriptor is what every open file, pipe and socket of the port has in
// common: its number, the operations in flight on it, and its end. It is
// closed only when the last of them has ended, because a kernel that still
// holds an operation holds its buffer too.
type descriptor struct {
	worker *Worker
	fd     int
	closed bool // Close was called
	reset  bool // end the connection with an RST
	socket bool // closed as one
	file   bool // seekable: operations complete by I/O, not by readiness
	shared bool // hooked, not opened here: others may have the open file description too
	lane   laneKey
	async  bool // a file whose data the kernel can transfer without a thread
	direct bool // a file that is read and written past the page cache; io_uring wants to know

	noRead, noWrite bool // a stream that is not open for it, which the system does not say to who waits

	first    *Overlapped // in flight
	inFlight int
	onClosed func() // called once, when the descriptor has really been closed

	readiness readiness
	stream    stream
	window    *window // where the kernel does the file operations: those in flight
	syncs     *window
}

// Worker returns the worker on which the operations of the handle complete.
func (d *descriptor) Worker() *Worker { return d.worker }

// Closed reports whether Close has been called.
func (d *descriptor) Closed() bool { return d.closed }

func (d *descriptor) add(o *Overlapped) {
	o.prev, o.next = nil, d.first
	if d.first != nil {
		d.first.prev = o
	}
	d.first = o
	d.inFlight++
}

func (d *descriptor) remove(o *Overlapped) {
	if o.prev != nil {
		o.prev.next = o.next
	} else {
		d.first = o.next
	}
	if o.next != nil {
		o.next.prev = o.prev
	}
	o.prev, o.next = nil, nil
	d.inFlight--
}

// CancelAll asks for the end of every operation in flight on the handle, as
// CancelIoEx without an overlapped does. With none it is ErrNotFound.
func (d *descriptor) CancelAll() error {
	if d.first == nil {
		return ErrNotFound
	}
	for o := d.first; o != nil; o = o.next {
		if o.state == opInFlight {
			_ = o.Cancel() // in flight, so there is something to cancel
		}
	}
	return nil
}

// Close ends the handle: no more starts, and what is in flight is cancelled
// and completes, normally with ErrOperationAborted. The descriptor itself is
// closed after the last of those completions. A second Close is ErrHandleClosed.
func (d *descriptor) Close() error {
	if d.closed {
		return ErrHandleClosed
	}
	d.worker.checkThread()
	d.closed = true
	_ = d.CancelAll() // ErrNotFound: nothing in flight is fine
	d.closeWhenIdle()
	return nil
}

func (d *descriptor) closeWhenIdle() {
	if d.inFlight > 0 || d.fd < 0 || !d.worker.backend.forget(d) {
		return
	}
	fd := d.fd
	d.fd = -1
	hooks.remove(fd)
	if d.reset {
		setLinger(fd)
	}
	switch {
	case d.socket:
		closeSocket(fd)
	case d.file:
		d.worker.port.pool.close(d.lane, fd)
	default:
		closeFD(fd)
	}
	if d.onClosed != nil {
		d.onClosed()
	}
}
