package completion

// Buffer holds received bytes. It comes from a bounded pool of its worker, off
// the Go heap, and goes back by Release, on that worker.
type Buffer struct {
	pool *bufferPool
	id   uint16
	mem  []byte
	n    int
	next *Buffer // in a stream, while nobody receives
	free bool

	room   int  // of mem, that a receive may fill
	backed bool // has been filled since it was made or trimmed: it takes memory
	loose  bool // not of the pool's region
}

// Bytes returns what was received. It must not be changed, nor used after Release.
func (b *Buffer) Bytes() []byte { return b.mem[:b.n] }

// Full reports whether no more would have gone into the buffer.
func (b *Buffer) Full() bool { return b.n >= b.room }

// Release gives the buffer back.
func (b *Buffer) Release() {
	b.pool.worker.checkThread()
	if b.free {
		panic("completion: a buffer was released twice")
	}
	poison(b.mem[:b.n])
	if b.loose {
		b.pool.forget(b)
		return
	}
	b.pool.putBack(b)
	b.pool.worker.backend.released()
}

// bufferPool is the receive buffers of one worker: a region of address space
// of which only the buffers that were ever needed at once are backed by memory.
type bufferPool struct {
	worker *Worker
	size   int
	limit  int
	region []byte
	all    []*Buffer // those made so far, by id
	unused []*Buffer // the last to come back is the next to be used: it is in the cache
	inUse  int       // taken by get
	lent   int       // of these, that the kernel may choose from
	peak   int       // the most in use since the last trim
	backed int       // that take memory

	copied int // bytes of the copies that stand for buffers

	trimmer *Timer

	shortage
}

func (p *bufferPool) init(w *Worker, size, limit int) { p.worker, p.size, p.limit = w, size, limit }

// get takes a buffer; nil if all are in use, or the system has no memory.
func (p *bufferPool) get() *Buffer {
	if n := len(p.unused); n > 0 {
		b := p.unused[n-1]
		if !b.backed && !commitMemory(b.mem) {
			return nil
		}
		p.unused = p.unused[:n-1]
		p.took(b)
		return b
	}
	return p.grow()
}

// available reports whether there is a buffer that get could return.
func (p *bufferPool) available() bool { return len(p.unused) > 0 || len(p.all) < p.limit }

// putBack returns a buffer that was taken and not used.
func (p *bufferPool) putBack(b *Buffer) {
	b.free = true
	b.n = 0
	p.unused = append(p.unused, b)
	p.inUse--
}

func (p *bufferPool) grow() *Buffer {
	id := len(p.all)
	if id >= p.limit || p.region == nil && !p.reserve() {
		return nil
	}
	b := &Buffer{pool: p, id: uint16(id), mem: p.region[id*p.size : (id+1)*p.size : (id+1)*p.size], room: p.size}
	if !commitMemory(b.mem) {
		return nil
	}
	p.all = append(p.all, b)
	p.took(b)
	return b
}

func (p *bufferPool) reserve() bool {
	region, err := reserveMemory(p.size * p.limit)
	p.region = region
	return err == nil
}

func (p *bufferPool) free() {
	if p.region != nil && p.inUse == 0 {
		releaseMemory(p.region)
		p.region = nil
	}
}
