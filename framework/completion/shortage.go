package completion

import "time"

// ShortageTime is how long receives wait for a buffer, without one of them getting any,
// until that is a shortage.
const ShortageTime = time.Second

// shortage is that of a pool's buffers.
type shortage struct {
	waiting opQueue // receives for which there was no buffer
	since   int64   // when there was none first, or when one of them was tried again last
	watch   *Timer
	tell    func()
}

// await queues a receive for which there was no buffer.
func (p *bufferPool) await(o *Overlapped) {
	if p.waiting.empty() {
		p.since = p.worker.now
	}
	p.waiting.push(o)
	if p.watch == nil {
		p.watch = p.worker.NewTimer(p.checkShortage)
	}
	if !p.watch.Armed() && !p.worker.closing {
		p.watch.Reset(ShortageTime)
	}
}

// next returns the receive that has waited longest, to be tried again; nil: none.
func (p *bufferPool) next() *Overlapped {
	o := p.waiting.pop()
	if o != nil {
		p.since = p.worker.now
	}
	return o
}

// checkShortage tells of a shortage, and comes again as long as receives wait.
func (p *bufferPool) checkShortage() {
	if p.waiting.empty() {
		return
	}
	p.watch.Reset(ShortageTime)
	if p.tell != nil && p.lasts() >= ShortageTime {
		p.tell()
	}
}

// lasts returns how long no receive that waits for a buffer has got one; 0: none waits.
func (p *bufferPool) lasts() time.Duration {
	if p.waiting.empty() {
		return 0
	}
	return time.Duration(p.worker.now - p.since)
}

// BufferUse is what is in use of the receive buffers of a worker.
type BufferUse struct {
	Kept   int // buffers that something was received into and that have not come back
	Limit  int // buffers there may be
	Copied int // bytes of what is kept elsewhere, since half of the buffers were kept
	// Shortage is how long no receive that waits for a buffer has got one; 0 means that
	// none waits.
	Shortage time.Duration
}

// BufferUse returns what is in use of the worker's receive buffers. It is called on it.
func (w *Worker) BufferUse() BufferUse {
	p := &w.buffers
	return BufferUse{Kept: p.inUse - p.lent, Limit: p.limit, Copied: p.copied, Shortage: p.lasts()}
}

// OnShortage has tell called, on the worker, when no receive that waits for a buffer has
// got one for ShortageTime, and again after each further ShortageTime. It is called on it.
func (w *Worker) OnShortage(tell func()) { w.buffers.tell = tell }
