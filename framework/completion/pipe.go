package completion

// Pipe is a buffer in the kernel through which bytes go from one socket to
// another without passing through the program. It belongs to its worker, and at
// any time it is filled by one socket or emptied by another.
type Pipe struct {
	worker      *Worker
	read, write int
	held        int  // bytes in it
	busy        bool // an operation is in flight on it
	free        bool // released
}

const (
	pipeSize     = 1 << 20 // asked for; the system may give less
	maxPipes     = 64      // of a worker
	maxIdlePipes = 8
)

// NewPipe returns an empty pipe. It is ErrTooManyOperations when the worker has
// as many as it may; the data can be received and sent then.
func (w *Worker) NewPipe() (*Pipe, error) {
	w.checkThread()
	if n := len(w.pipes.idle); n > 0 {
		p := w.pipes.idle[n-1]
		w.pipes.idle = w.pipes.idle[:n-1]
		p.free = false
		return p, nil
	}
	if len(w.pipes.open) >= maxPipes || w.test.memory != nil {
		return nil, ErrTooManyOperations
	}
	p := &Pipe{worker: w}
	if err := p.open(); err != nil {
		return nil, err
	}
	if w.pipes.open == nil {
		w.pipes.open = make(map[*Pipe]struct{}, maxPipes)
	}
	w.pipes.open[p] = struct{}{}
	return p, nil
}

// Held returns how many bytes are in the pipe.
func (p *Pipe) Held() int { return p.held }

// Release gives the pipe back. What is in it is lost. If an operation is in
// flight on it, it is given back with its completion.
func (p *Pipe) Release() {
	p.worker.checkThread()
	if p.free {
		panic("completion: a pipe was released twice")
	}
	p.free = true
	if !p.busy {
		p.worker.pipes.putBack(p)
	}
}

// ended notes the end of an operation on the pipe.
func (p *Pipe) ended() {
	p.busy = false
	if p.free {
		p.worker.pipes.putBack(p)
	}
}

// pipes is the pipes of a worker.
type pipes struct {
	idle []*Pipe
	open map[*Pipe]struct{} // all of them
}

func (p *pipes) putBack(pipe *Pipe) {
	if _, ok := p.open[pipe]; !ok {
		return // it has been closed with the worker
	}
	if pipe.held == 0 && len(p.idle) < maxIdlePipes {
		p.idle = append(p.idle, pipe)
		return
	}
	delete(p.open, pipe)
	pipe.close()
}

func (p *pipes) close() {
	for pipe := range p.open {
		pipe.close()
	}
	p.idle, p.open = nil, nil
}

// SpliceIn starts to move what the socket has received into an empty pipe. It
// completes like a Recv, with the bytes moved, 0 at the end of the stream. It
// is ErrBusy while a receive, or data that one has brought ahead, is under way.
func (s *Socket) SpliceIn(o *Overlapped, p *Pipe) error {
	if p == nil || p.free || p.held != 0 || p.worker != s.worker {
		return ErrInvalidArgument
	}
	if p.busy || s.busy(opRecv) || s.busy(opSpliceIn) || s.stream.ahead() {
		return ErrBusy
	}
	return s.splice(o, opSpliceIn, p)
}

// SpliceOut starts to send all that the pipe holds, like a Send.
func (s *Socket) SpliceOut(o *Overlapped, p *Pipe) error {
	if p == nil || p.free || p.held == 0 || p.worker != s.worker {
		return ErrInvalidArgument
	}
	if p.busy || s.busy(opSend) || s.busy(opSpliceOut) {
		return ErrBusy
	}
	return s.splice(o, opSpliceOut, p)
}

func (s *Socket) splice(o *Overlapped, op opKind, p *Pipe) error {
	if err := s.begin(o, op); err != nil {
		return err
	}
	o.pipe, p.busy = p, true
	s.worker.backend.start(o)
	return nil
}
