package completion

// Half of a pool's buffers are for whoever keeps what it has received: a send that does
// not move, a filter that holds. The other half is only passed through. Once the first
// half is kept, the pool is tight: a receive brings little, and what it has brought is
// copied off the pool, to memory of just that size, before anybody can keep it. So those
// whose data does not move cost the others a copy, and never a buffer.
//
// The copies may take as many bytes as the other half has, and the less of that is left
// the less a receive brings. Once nothing is left no copies are made, and the pool can be
// used up after all: see shortage.

const (
	// tightReceive is the most that a receive brings while the pool is tight, in bytes,
	// and leastReceive what it may bring however little is left.
	tightReceive = 16 << 10
	leastReceive = 2 << 10
	// copyOverhead is what a copy takes beside its bytes.
	copyOverhead = 128
)

// tight reports whether half of the buffers are kept, apart from some that have just been
// taken.
func (p *bufferPool) tight(apart int) bool { return p.inUse-p.lent-apart >= p.limit-p.limit/2 }

// space returns the part of a buffer that a receive may fill now.
func (p *bufferPool) space(b *Buffer) []byte {
	if p.tight(1) {
		b.room = p.tightRoom()
	}
	return b.mem[:b.room]
}

// tightRoom returns how much a receive may bring while the pool is tight.
func (p *bufferPool) tightRoom() int {
	return min(p.size, tightReceive, max(leastReceive, p.copiesLeft()/p.limit))
}

// copiesLeft returns how many bytes further copies may take.
func (p *bufferPool) copiesLeft() int { return p.limit/2*p.size - p.copied }

// pass returns what is to be kept of a buffer that has been filled: itself, or a copy.
func (p *bufferPool) pass(b *Buffer) *Buffer {
	if b.loose || !p.tight(1) || b.n+copyOverhead > p.copiesLeft() {
		return b
	}
	c := p.copyOf(b)
	p.worker.backend.released()
	return c
}

// copyOf returns a copy of a buffer off the pool, to which that goes back.
func (p *bufferPool) copyOf(b *Buffer) *Buffer {
	c := &Buffer{pool: p, mem: append([]byte(nil), b.Bytes()...), n: b.n, room: min(b.room, tightReceive), loose: true}
	p.copied += len(c.mem) + copyOverhead
	p.putBack(b)
	return c
}

// off returns an empty buffer off the pool.
func (p *bufferPool) off(size int) *Buffer {
	p.copied += size + copyOverhead
	return &Buffer{pool: p, mem: make([]byte, size), room: size, loose: true}
}

// forget is for a buffer off the pool that is released.
func (p *bufferPool) forget(b *Buffer) {
	p.copied -= len(b.mem) + copyOverhead
	b.free, b.n, b.mem = true, 0, nil
}
