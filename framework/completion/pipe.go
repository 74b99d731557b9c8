package completion

// Pipe is a buffer in the kernel through which bytes go from one socket to
// another without passing through the program. It belongs to its worker, and at
// any time it is filled by one socket or emptied by another.
type Pipe struct {
	worker      *Worker
	read, write int
	held        int // bytes in it
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
		return p, nil
	}
	if w.pipes.open >= maxPipes {
		return nil, ErrTooManyOperations
	}
	p := &Pipe{worker: w}
	if err := p.open(); err != nil {
		return nil, err
	}
	w.pipes.open++
	return p, nil
}

// Held returns how many bytes are in the pipe.
func (p *Pipe) Held() int { return p.held }

// Release gives the pipe back. What is in it is lost. No operation may be in
// flight on it.
func (p *Pipe) Release() {
	w := p.worker
	w.checkThread()
	if p.held == 0 && len(w.pipes.idle) < maxIdlePipes {
		w.pipes.idle = append(w.pipes.idle, p)
		return
	}
	p.close()
	w.pipes.open--
}

// pipes is the pipes of a worker.
type pipes struct {
	idle []*Pipe
	open int
}

func (p *pipes) close() {
	for _, pipe := range p.idle {
		pipe.close()
	}
	p.idle = nil
}

// SpliceIn starts to move what the socket has received into an empty pipe. It
// completes like a Recv, with the bytes moved, 0 at the end of the stream. It
// is ErrBusy while a receive, or data that one has brought ahead, is under way.
func (s *Socket) SpliceIn(o *Overlapped, p *Pipe) error {
	if p == nil || p.held != 0 || p.worker != s.worker {
		return ErrInvalidArgument
	}
	if s.busy(opRecv) || s.busy(opSpliceIn) || s.stream.armed || s.stream.first != nil || s.stream.ended {
		return ErrBusy
	}
	return s.splice(o, opSpliceIn, p)
}

// SpliceOut starts to send all that the pipe holds, like a Send.
func (s *Socket) SpliceOut(o *Overlapped, p *Pipe) error {
	if p == nil || p.held == 0 || p.worker != s.worker {
		return ErrInvalidArgument
	}
	if s.busy(opSend) || s.busy(opSpliceOut) {
		return ErrBusy
	}
	return s.splice(o, opSpliceOut, p)
}

func (s *Socket) splice(o *Overlapped, op opKind, p *Pipe) error {
	if err := s.begin(o, op); err != nil {
		return err
	}
	o.pipe = p
	s.worker.backend.start(o)
	return nil
}
