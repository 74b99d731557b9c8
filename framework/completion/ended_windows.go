package completion

import "syscall"

// What the iocp backend does when the system has ended an operation.

// ended deals with a packet: n bytes were transferred for the slot's operation.
func (p *iocp) ended(s *slot, n int) {
	o, err := s.o, s.result()
	if o.op == opAccept && err == nil {
		o.value, err = s.accept2(o.desc)
	}
	s.release()
	switch o.op {
	case opRecv, opRecvFrom:
		p.receivable(o, err)
	case opSend, opWriteStream, opWriteGatherStream:
		p.sent(o, n, err)
	case opRead, opReadStream:
		p.advance(o)
		if err == nil {
			n, err = fileRead(n, nil)
		}
		p.worker.complete(o, n, err)
	case opConnect:
		if err == nil {
			err = connected(o.desc.fd)
		}
		p.worker.complete(o, 0, err)
	default:
		p.worker.complete(o, n, err)
	}
}

// sent deals with the end of a send or write, which may not have been the last.
func (p *iocp) sent(o *Overlapped, n int, err error) {
	o.wrote(n)
	switch {
	case err != nil:
	case o.done == o.length():
	case o.cancelled:
		err = ErrOperationAborted
	case n == 0:
		err = syscall.ENOSPC
	default:
		p.issue(o)
		return
	}
	p.advance(o)
	p.worker.complete(o, o.done, err)
}

// receive starts a receive. If there is something to receive, and others wait
// for a buffer to do so, it waits behind them.
func (p *iocp) receive(o *Overlapped) {
	if o.desc.readiness.readable {
		if !p.worker.buffers.waiting.empty() {
			p.worker.buffers.await(o)
			return
		}
		switch p.attempt(o) {
		case ended:
			p.worker.end(o, o.bytes, o.err)
			return
		case starved:
			return
		case again:
		}
	}
	p.issue(o)
}

// receivable deals with the end of the wait for something to receive.
func (p *iocp) receivable(o *Overlapped, err error) {
	// An error of a datagram socket goes away when it is received, and is about a
	// datagram that was sent: there may be one to receive.
	if err != nil && (o.op == opRecv || o.cancelled) {
		p.worker.complete(o, 0, err)
		return
	}
	switch p.attempt(o) {
	case ended:
		p.worker.finish(o)
	case again:
		switch {
		case err != nil:
			p.worker.complete(o, 0, err)
		case o.cancelled:
			p.worker.complete(o, 0, ErrOperationAborted)
		default:
			p.issue(o)
		}
	case starved:
		if o.cancelled {
			o.queue.remove(o)
			p.worker.complete(o, 0, ErrOperationAborted)
		}
	}
}

// attempt tries to receive without waiting. Without a buffer for it, it waits
// for one.
func (p *iocp) attempt(o *Overlapped) outcome {
	r := &o.desc.readiness
	result := attemptRecv(o)
	switch result {
	case ended: // a buffer that is not full has taken everything of a stream
		r.readable = r.cautious || o.buffer != nil && o.buffer.Full()
	case again:
		r.readable = false
	case starved:
		r.readable = true
		p.worker.buffers.await(o)
	}
	return result
}

func attemptRecv(o *Overlapped) outcome {
	pool := &o.worker.buffers
	b := pool.get()
	if b == nil {
		return starved
	}
	n, err := 0, error(nil)
	if o.op == opRecvFrom {
		n, err = o.packet.receive(o.desc.fd, b.mem)
	} else {
		n, err = recvNow(o.desc.fd, pool.space(b))
	}
	switch {
	case err == errWouldBlock: //nolint:errorlint // a system call returns a bare Errno
		pool.putBack(b)
		return again
	case err != nil || n == 0:
		pool.putBack(b)
		o.bytes, o.err = 0, o.failure(err)
	default:
		b.n = n
		o.buffer = b
		o.bytes, o.err = n, o.truncated()
	}
	return ended
}

// fileRead turns the result of a read into the port's: the end of a file is an error.
func fileRead(n int, err error) (int, error) {
	if err == nil && n == 0 {
		err = ErrHandleEOF
	}
	return max(n, 0), err
}
