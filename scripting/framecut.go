package scripting

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// cutter knows where the records of a stream begin and end.
type cutter interface {
	// next finds the first record of data; the end is 0 if that has not come yet. An
	// error says that the record is none, or longer than the limit.
	next(data []byte) (piece, *frameError)
	// form appends a record with another content to out.
	form(out []byte, content string, r piece, data []byte) ([]byte, error)
}

// piece is where the content of a record lies in the data, and where the record ends.
type piece struct{ from, to, end int }

// frameError is a record that is not cut: so many bytes of the stream are passed
// instead, if that is asked for.
type frameError struct {
	message string
	pass    int64
}

func (e *frameError) Error() string { return e.message }

// Numbers of bytes to pass that are not known.
const (
	passLine    = -1            // up to the end of the line
	passForever = math.MaxInt64 // to the end of the stream
)

// passed returns how many of the bytes to pass are in data, and what is left of
// them behind it.
func passed(data []byte, pass int64) (n int, left int64) {
	switch pass {
	case passLine:
		if end := bytes.IndexByte(data, '\n'); end >= 0 {
			return end + 1, 0
		}
		return len(data), passLine
	case passForever:
		return len(data), passForever
	}
	n = int(min(int64(len(data)), pass))
	return n, pass - int64(n)
}

// lineCutter cuts at the ends of lines, "\n" or "\r\n".
type lineCutter struct{ max int }

func (c lineCutter) next(data []byte) (piece, *frameError) {
	end := bytes.IndexByte(data[:min(len(data), c.max+len("\r\n"))], '\n')
	if end < 0 && (len(data) <= c.max || len(data) == c.max+1 && data[c.max] == '\r') {
		return piece{}, nil
	}
	r := piece{0, end, end + 1}
	if end > 0 && data[end-1] == '\r' {
		r.to--
	}
	if end < 0 || r.to > c.max {
		return piece{}, &frameError{fmt.Sprintf("fwx.frame.lines: a line of more than %d bytes", c.max), passLine}
	}
	return r, nil
}

func (c lineCutter) form(out []byte, content string, r piece, data []byte) ([]byte, error) {
	return append(append(out, content...), data[r.to:r.end]...), nil
}

// lengthCutter cuts by the length that comes before each record.
type lengthCutter struct {
	max    int
	size   int // of the length
	order  binary.ByteOrder
	itself bool // the length counts itself too
}

const maxLengthSize = 8

func (c lengthCutter) next(data []byte) (piece, *frameError) {
	if len(data) < c.size {
		return piece{}, nil
	}
	n := c.decode(data[:c.size])
	if c.itself {
		if n < uint64(c.size) {
			return piece{}, &frameError{fmt.Sprintf("fwx.frame.length: a length of %d, which is less than its own size", n), passForever}
		}
		n -= uint64(c.size)
	}
	if n > uint64(c.max) {
		pass := int64(passForever)
		if n < passForever-maxLengthSize {
			pass = int64(n) + int64(c.size)
		}
		return piece{}, &frameError{fmt.Sprintf("fwx.frame.length: a record of %d bytes, more than %d", n, c.max), pass}
	}
	r := piece{c.size, c.size + int(n), c.size + int(n)}
	if len(data) < r.end {
		return piece{}, nil
	}
	return r, nil
}

func (c lengthCutter) form(out []byte, content string, _ piece, _ []byte) ([]byte, error) {
	n := uint64(len(content))
	if c.itself {
		n += uint64(c.size)
	}
	if bits := 8 * c.size; bits < 64 && n>>bits != 0 {
		return nil, fmt.Errorf("fwx.frame.length: %d bytes do not fit a length of %d", len(content), c.size)
	}
	return append(c.encode(out, n), content...), nil
}

// decode returns the number in bytes, of which there are size.
func (c lengthCutter) decode(data []byte) uint64 {
	var wide [maxLengthSize]byte
	if c.order == binary.ByteOrder(binary.LittleEndian) {
		copy(wide[:], data)
	} else {
		copy(wide[maxLengthSize-c.size:], data)
	}
	return c.order.Uint64(wide[:])
}

func (c lengthCutter) encode(out []byte, n uint64) []byte {
	var wide [maxLengthSize]byte
	c.order.PutUint64(wide[:], n)
	if c.order == binary.ByteOrder(binary.LittleEndian) {
		return append(out, wide[:c.size]...)
	}
	return append(out, wide[maxLengthSize-c.size:]...)
}
