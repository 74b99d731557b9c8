package completion

// opQueue is a queue of overlapped operations, linked through themselves: each
// is in one at the most, and knows in which.
type opQueue struct{ first, last *Overlapped }

func (q *opQueue) empty() bool { return q.first == nil }

func (q *opQueue) push(o *Overlapped) {
	o.queue, o.before, o.after = q, q.last, nil
	if q.last == nil {
		q.first = o
	} else {
		q.last.after = o
	}
	q.last = o
}

func (q *opQueue) pushFront(o *Overlapped) {
	o.queue, o.before, o.after = q, nil, q.first
	if q.first == nil {
		q.last = o
	} else {
		q.first.before = o
	}
	q.first = o
}

// pop takes the first operation; nil if there is none.
func (q *opQueue) pop() *Overlapped {
	o := q.first
	if o != nil {
		q.remove(o)
	}
	return o
}

// remove takes o out; it reports whether it was there.
func (q *opQueue) remove(o *Overlapped) bool {
	if o.queue != q {
		return false
	}
	if o.before == nil {
		q.first = o.after
	} else {
		o.before.after = o.after
	}
	if o.after == nil {
		q.last = o.before
	} else {
		o.after.before = o.before
	}
	o.queue, o.before, o.after = nil, nil, nil
	return true
}
