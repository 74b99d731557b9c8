package clienthello

// reader takes values off the front of bytes. Once they do not suffice, it is broken
// and stays so.
type reader struct {
	rest   []byte
	broken bool
}

func (r *reader) take(n int) []byte {
	if r.broken || len(r.rest) < n {
		r.broken, r.rest = true, nil
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

// number takes a number of so many bytes.
func (r *reader) number(size int) (n int) {
	for _, b := range r.take(size) {
		n = n<<8 | int(b)
	}
	return n
}

// vector takes what is preceded by its length, a number of so many bytes.
func (r *reader) vector(size int) reader {
	b := r.take(r.number(size))
	return reader{rest: b, broken: r.broken}
}

func (r *reader) more() bool { return !r.broken && len(r.rest) > 0 }

// ended reports whether everything was taken, and no more than there was.
func (r *reader) ended() bool { return !r.broken && len(r.rest) == 0 }

// numbers takes a list of 16-bit numbers, which is not empty.
func (r *reader) numbers(size int) (list []uint16) {
	v := r.vector(size)
	for v.more() {
		list = append(list, uint16(v.number(2)))
	}
	if v.broken || len(list) == 0 {
		r.broken = true
	}
	return list
}
