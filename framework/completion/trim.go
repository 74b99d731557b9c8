package completion

import "time"

const (
	trimPeriod = 5 * time.Second
	trimBatch  = 64 // buffers at a time: each costs a system call
)

// trim gives the memory of buffers that have not been needed for a while back to
// the system, a batch at a time, so that a burst does not cost for ever. The
// buffers stay; they get new memory when they are filled again.
func (p *bufferPool) trim() {
	spare := len(p.all) - p.peak
	p.peak = p.inUse
	done := 0
	for _, b := range p.unused[:min(max(spare, 0), len(p.unused))] { // the longest unused first
		if !b.backed {
			continue
		}
		if done == trimBatch {
			break
		}
		discardMemory(b.mem)
		b.backed = false
		p.backed--
		done++
	}
	if p.backed > p.inUse {
		p.armTrim()
	}
}

// took notes that a buffer has been taken, and so will have memory.
func (p *bufferPool) took(b *Buffer) {
	b.free, b.room = false, p.size
	p.inUse++
	p.peak = max(p.peak, p.inUse)
	if !b.backed {
		b.backed = true
		p.backed++
		p.armTrim()
	}
}

func (p *bufferPool) armTrim() {
	if p.trimmer == nil {
		p.trimmer = p.worker.NewTimer(p.trim)
	}
	if !p.trimmer.Armed() && !p.worker.closing {
		p.trimmer.Reset(trimPeriod)
	}
}
