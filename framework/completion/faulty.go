package completion

import (
	"time"

	"fwx/framework/completion/internal/seam"
)

// faulty is a backend whose operations meet with what a test has in mind for
// them. Whatever it does a system might do: it is late, short of room or
// buffers, or it fails.
type faulty struct {
	backend
	worker *Worker
	plan   seam.Faults

	held    []heldStep
	broken  map[*descriptor]error // the connections that were reset
	hogged  []*Buffer
	hogTime time.Duration // when they are given back
	passing bool          // a cancel that was held goes on
	checked *Overlapped   // found room, before its descriptor was there
}

// fault is what a test has in mind for an operation that has begun.
type fault struct {
	err      error // that it ends with, if all goes well
	piece    int   // how much is transferred at a time
	starting bool  // not yet known to the backend
	passed   bool  // its notification was held back long enough
}

// heldStep is a start, a cancel or a notification that is held back.
type heldStep struct {
	what       heldKind
	due        time.Duration // by the worker's clock
	o          *Overlapped
	generation uint32 // of o's slot
}

type heldKind uint8

const (
	heldStart heldKind = iota
	heldCancel
	heldFinish
)

// rest returns what is to be transferred next.
func (o *Overlapped) rest() []byte {
	rest := o.buf[o.done:]
	if o.fault != nil && o.fault.piece > 0 {
		rest = rest[:min(len(rest), o.fault.piece)]
	}
	return rest
}

func (f *faulty) start(o *Overlapped) {
	d := o.desc
	if err := f.broken[d]; err != nil && o.op != opConnect {
		f.worker.end(o, 0, err)
		return
	}
	fate := f.plan.Start(seam.Op{Kind: seamKind(o), Size: len(o.buf), User: o.user, At: o.ov.Offset})
	o.fault = &fault{err: fate.Err, piece: fate.Piece}
	if fate.Limit > 0 && fate.Limit < len(o.buf) {
		o.buf = o.buf[:fate.Limit]
	}
	if fate.Err != nil && (o.op == opRecv || o.op == opSend) {
		f.breaks(d, fate.Err)
	}
	if fate.Err != nil && fate.Limit == 0 {
		f.worker.end(o, 0, fate.Err)
		return
	}
	due := f.worker.Now() + fate.Delay
	if !d.file { // transfers on a stream keep their order
		due = max(due, f.last(heldStart, d))
	}
	if o.op == opChanges || due <= f.worker.Now() { // a watch is there when it says so
		f.backend.start(o)
		return
	}
	o.fault.starting = true
	f.hold(heldStart, due, o)
}

// refuses tells whether a start finds no room. What was checked before its
// descriptor was there is not refused once it is.
func (f *faulty) refuses(o *Overlapped, d *descriptor) bool {
	if d != nil && f.checked == o {
		f.checked = nil
		return false
	}
	if f.plan.Refuse() {
		return true
	}
	if d == nil {
		f.checked = o
	}
	return false
}

// breaks notes that a connection has been reset; its end is a reset, too.
func (f *faulty) breaks(d *descriptor, err error) {
	if f.broken == nil {
		f.broken = make(map[*descriptor]error)
	}
	f.broken[d] = err
	d.reset = true
}

func seamKind(o *Overlapped) seam.Kind {
	switch o.op {
	case opRead:
		return seam.Read
	case opWrite:
		return seam.Write
	case opSync:
		return seam.Sync
	case opReadStream, opWriteStream:
		return seam.Stream
	case opRecv:
		return seam.Recv
	case opSend:
		return seam.Send
	default:
		return seam.Other
	}
}

func (f *faulty) hold(what heldKind, due time.Duration, o *Overlapped) {
	f.held = append(f.held, heldStep{what, due, o, f.worker.ops.generations[o.slot]})
}

// last returns when the last such step on a descriptor is due, 0 without one.
func (f *faulty) last(what heldKind, d *descriptor) (due time.Duration) {
	for i := range f.held {
		if s := &f.held[i]; s.what == what && s.o.desc == d {
			due = max(due, s.due)
		}
	}
	return due
}

// keeps holds the notification of o back; false when it is to be called.
func (f *faulty) keeps(o *Overlapped) bool {
	if o.fault == nil {
		o.fault = &fault{}
	}
	if o.fault.passed {
		o.fault = nil
		return false
	}
	o.fault.passed = true
	if o.err == nil && o.fault.err != nil {
		o.err = o.fault.err
	}
	due := f.worker.Now() + f.plan.Finish()
	if o.desc != nil && !o.desc.file {
		due = max(due, f.last(heldFinish, o.desc))
	}
	if due <= f.worker.Now() {
		o.fault = nil
		return false
	}
	o.state = opReady
	f.hold(heldFinish, due, o)
	return true
}

func (f *faulty) cancel(o *Overlapped) {
	if o.fault != nil && o.fault.starting {
		f.drop(o)
		f.worker.end(o, 0, ErrOperationAborted)
		return
	}
	if delay := f.plan.Cancel(); delay > 0 && !f.passing {
		f.hold(heldCancel, f.worker.Now()+delay, o)
		return
	}
	f.backend.cancel(o)
}

// drop forgets the start of o that is held back.
func (f *faulty) drop(o *Overlapped) {
	o.fault.starting = false
	for i := range f.held {
		if s := &f.held[i]; s.o == o && s.what == heldStart {
			f.held = append(f.held[:i], f.held[i+1:]...)
			return
		}
	}
}

func (f *faulty) wait(patience time.Duration) {
	next := f.release()
	if hog := f.starve(); hog > 0 && (next < 0 || hog < next) {
		next = hog
	}
	switch {
	case !f.worker.ready.empty() || f.worker.finished():
		patience = 0
	case next >= 0 && (patience < 0 || next < patience):
		patience = next
	}
	f.backend.wait(patience)
}

// release takes the steps that are due, in their order. It returns how long it
// is until the next; -1 without one.
func (f *faulty) release() time.Duration {
	f.worker.tick()
	now, next := f.worker.Now(), time.Duration(-1)
	var due []heldStep
	waiting := f.held[:0]
	for _, s := range f.held {
		if s.due <= now {
			due = append(due, s)
			continue
		}
		waiting = append(waiting, s)
		if left := s.due - now; next < 0 || left < next {
			next = left
		}
	}
	clear(f.held[len(waiting):])
	f.held = waiting
	for _, s := range due {
		f.take(s)
	}
	return next
}

func (f *faulty) take(s heldStep) {
	w := f.worker
	switch s.what {
	case heldStart:
		if s.o.fault.starting { // it may have been cancelled just now
			s.o.fault.starting = false
			f.backend.start(s.o)
		}
	case heldFinish:
		w.ready.push(s.o)
	case heldCancel:
		if s.o.state == opInFlight && w.ops.generations[s.o.slot] == s.generation && w.ops.slots[s.o.slot] == s.o {
			f.passing = true
			w.cancel(s.o)
			f.passing = false
		}
	}
}

// starve takes the free buffers away, as if somebody had them, and gives them
// back. It returns how long it is until then.
func (f *faulty) starve() time.Duration {
	w := f.worker
	if len(f.hogged) > 0 {
		if left := f.hogTime - w.Now(); left > 0 && !w.closing {
			return left
		}
		hogged := f.hogged
		f.hogged = nil
		for _, b := range hogged {
			b.Release()
		}
		return 0
	}
	hog := f.plan.Starve()
	if hog <= 0 || w.closing {
		return 0
	}
	for b := w.buffers.get(); b != nil; b = w.buffers.get() {
		f.hogged = append(f.hogged, b)
	}
	f.hogTime = w.Now() + hog
	return hog
}

func (f *faulty) forget(d *descriptor) bool {
	delete(f.broken, d)
	return f.backend.forget(d)
}

func (f *faulty) idle() bool { return len(f.hogged) == 0 && f.backend.idle() }
