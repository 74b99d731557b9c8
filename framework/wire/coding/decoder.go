package coding

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
)

// The errors of a Decoder.
var (
	ErrDamaged = errors.New("the content is not what its coding says")
	ErrTooLong = errors.New("the decoded content is too long")
	// ErrNoMemory is what Decoder.Claim answers when a coding wants memory that there is not.
	ErrNoMemory = errors.New("there is no memory for the decoder")
)

const (
	pieceSize = 16 << 10
	// workSize is how many bytes the codings may take in, all of them together, until the
	// caller can do something else: what comes out may be little, or nothing.
	workSize = 16 << 10
	// maxIdle bounds how often a reader may return nothing.
	maxIdle = 100
)

// Decoder takes codings off content. It is made by NewDecoder.
type Decoder struct {
	// Claim, if it is set, is asked before a coding takes so many bytes of memory, which
	// it keeps until the end. Its error, which wraps ErrNoMemory, is that of Next.
	Claim func(bytes int) error

	codings []Coding
	limit   int64
	in      []byte // pushed, and not read yet
	ended   bool   // nothing more is pushed
	hungry  bool   // there is nothing to do before more is pushed
	done    bool
	err     error
	buffer  []byte // of what has come out
	given   int    // of what is in the buffer, to who has called Next
	filled  int
	worked  int // bytes that the codings have taken in since Next was called

	resume func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
}

// NewDecoder returns a Decoder that takes codings off, in their order. What comes out
// may be so many bytes long.
func NewDecoder(codings []Coding, limit int64) *Decoder {
	return &Decoder{codings: codings, limit: limit, hungry: true}
}

// Push gives it the next part of the content, which must stay as it is until Pending
// reports false; before that nothing may be pushed.
func (d *Decoder) Push(data []byte) { d.in, d.hungry = data, len(data) == 0 }

// End tells it that nothing more will be pushed. If nothing was, nothing comes out.
func (d *Decoder) End() {
	if d.resume != nil || len(d.in) > 0 {
		d.ended, d.hungry = true, false
	}
}

// Pending reports whether Next may return something before more is pushed.
func (d *Decoder) Pending() bool { return !d.hungry && !d.done }

// Next returns the next piece of what the content stands for, which is valid until it is
// called again. It is empty if more must be pushed, or at the end. The error is
// ErrTooLong or wraps ErrDamaged, and nothing more comes then.
func (d *Decoder) Next() ([]byte, error) {
	if !d.Pending() {
		return nil, d.err
	}
	if d.resume == nil {
		d.buffer = make([]byte, pieceSize)
		d.resume, d.stop = iter.Pull(d.run)
	}
	d.worked = 0
	if _, more := d.resume(); !more {
		d.done = true
		return nil, d.err
	}
	piece := d.buffer[d.given:d.filled]
	d.given = d.filled
	return piece, nil
}

// Worked returns how many bytes all codings took in for the last piece. Each one that was
// applied to another counts.
func (d *Decoder) Worked() int { return d.worked }

// Close ends it. It must be called, and may be more than once.
func (d *Decoder) Close() {
	d.done, d.in = true, nil
	if d.stop != nil {
		d.stop()
	}
}

// run is the coroutine.
func (d *Decoder) run(yield func(struct{}) bool) {
	d.yield = yield
	defer func() {
		if r := recover(); r != nil {
			d.err = fmt.Errorf("%w: its decoder panicked: %v", ErrDamaged, r)
		}
	}()
	switch err := d.decode(); {
	case err == nil || d.done:
	case errors.Is(err, ErrTooLong):
		d.err = ErrTooLong
	case errors.Is(err, ErrNoMemory):
		d.err = err
	default:
		d.err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
}

func (d *Decoder) decode() error {
	if err := d.claim(pieceSize); err != nil {
		return err
	}
	from := io.Reader((*source)(d))
	for i, open := range d.codings {
		if i > 0 {
			from = &buffered{bufio.NewReader(&between{d, bounded{from, d.limit}}), d}
		}
		r, err := open(from)
		if err != nil {
			return err
		}
		if c, ok := r.(io.Closer); ok {
			defer func() { _ = c.Close() }() // it is memory only
		}
		from = r
	}
	from = &bounded{from, d.limit}
	for idle := 0; ; idle++ {
		n, err := from.Read(d.buffer[d.filled:])
		d.filled += n
		if d.filled == len(d.buffer) || err == io.EOF && d.filled > d.given {
			if !d.yield(struct{}{}) {
				return errClosed
			}
			d.given, d.filled = 0, 0
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case n > 0:
			idle = 0
		case idle == maxIdle:
			return io.ErrNoProgress
		}
	}
}

var errClosed = errors.New("closed")

// source is a Decoder as what the first coding reads from.
type source Decoder

// wait waits for input; false at the end.
func (s *source) wait() error {
	d := (*Decoder)(s)
	for len(d.in) == 0 {
		if d.ended {
			return io.EOF
		}
		d.hungry = true
		if !d.yield(struct{}{}) {
			return errClosed
		}
	}
	return nil
}

// Read reads what has been pushed.
func (s *source) Read(p []byte) (int, error) {
	if err := s.wait(); err != nil {
		return 0, err
	}
	n := copy(p[:min(len(p), workSize)], s.in)
	s.in = s.in[n:]
	return n, (*Decoder)(s).work(n)
}

// ReadByte makes a decoder take no more than it needs.
func (s *source) ReadByte() (byte, error) {
	if err := s.wait(); err != nil {
		return 0, err
	}
	b := s.in[0]
	s.in = s.in[1:]
	return b, (*Decoder)(s).work(1)
}

// buffered is what is between two codings: decoders read its bytes one by one.
type buffered struct {
	*bufio.Reader
	d *Decoder
}

func (b *buffered) claim(bytes int) error { return b.d.claim(bytes) }
func (s *source) claim(bytes int) error   { return (*Decoder)(s).claim(bytes) }

func (d *Decoder) claim(bytes int) error {
	if d.Claim == nil {
		return nil
	}
	return d.Claim(bytes)
}

// ClaimMemory is called by a Coding with what it was given, before it takes so many bytes
// of memory. An error is to be returned.
func ClaimMemory(from io.Reader, bytes int) error {
	if c, ok := from.(interface{ claim(bytes int) error }); ok {
		return c.claim(bytes)
	}
	return nil
}

// between is what one coding has put out as what the next reads from.
type between struct {
	d *Decoder
	bounded
}

// Read reads what is there.
func (b *between) Read(p []byte) (int, error) {
	n, err := b.bounded.Read(p)
	if err == nil {
		err = b.d.work(n)
	}
	return n, err
}

// work counts bytes that a coding takes in, and lets the caller do something else when
// they are many.
func (d *Decoder) work(n int) error {
	if d.worked += n; d.worked < workSize {
		return nil
	}
	if !d.yield(struct{}{}) {
		return errClosed
	}
	return nil
}

// bounded is a reader of at most so many bytes.
type bounded struct {
	from io.Reader
	left int64
}

// Read reads what is there, and is ErrTooLong beyond the limit.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, ErrTooLong
	}
	return n, err
}
