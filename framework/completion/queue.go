package completion

// opQueue is a queue of overlapped operations, linked through themselves:
// each is in one at the most.
type opQueue struct{ first, last *Overlapped }

func (q *opQueue) empty() bool { return q.first == nil }

func (q *opQueue) push(o *Overlapped) {
	if q.last == nil {
		q.first = o
	} else {
		q.last.link = o
	}
	q.last = o
}

func (q *opQueue) pushFront(o *Overlapped) {
	o.link = q.first
	q.first = o
	if q.last == nil {
		q.last = o
	}
}

// pop takes the first operation; nil if there is none.
func (q *opQueue) pop() *Overlapped {
	o := q.first
	if o == nil {
		return nil
	}
	q.first = o.link
	o.link = nil
	if q.first == nil {
		q.last = nil
	}
	return o
}

// remove takes o out; it reports whether it was there.
func (q *opQueue) remove(o *Overlapped) bool {
	var previous *Overlapped
	for p := q.first; p != nil; previous, p = p, p.link {
		if p != o {
			continue
		}
		if previous == nil {
			q.pop()
			return true
		}
		previous.link = o.link
		if q.last == o {
			q.last = previous
		}
		o.link = nil
		return true
	}
	return false
}

// take empties the queue and returns its first operation, linked to the others.
func (q *opQueue) take() *Overlapped {
	o := q.first
	q.first, q.last = nil, nil
	return o
}
