package coding

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"sync"
)

// Readers are large, so those that have ended are used again.
var gzips, zlibs, flates sync.Pool

// readerSize is what one of them takes, in bytes: the window, the tables and the input.
const readerSize = 48 << 10

// gzipReader reads gzip (RFC 1952), all members of it.
type gzipReader struct{ gzip.Reader }

func gunzip(from io.Reader) (io.Reader, error) {
	if err := ClaimMemory(from, readerSize); err != nil {
		return nil, err
	}
	r, ok := gzips.Get().(*gzipReader)
	if !ok {
		r = new(gzipReader)
	}
	if err := r.Reset(from); err != nil {
		return nil, err
	}
	return r, nil
}

// Close lets the reader be used again.
func (r *gzipReader) Close() error {
	gzips.Put(r)
	return nil
}

// inflate reads what the standard means by deflate (RFC 1950) and what some senders do
// (RFC 1951), which lacks the two bytes at the beginning that tell.
func inflate(from io.Reader) (io.Reader, error) {
	if err := ClaimMemory(from, readerSize); err != nil {
		return nil, err
	}
	r := &deflateReader{in: bufio.NewReader(from), pool: &flates}
	if head, _ := r.in.Peek(2); isZlib(head) { // with less there is no body anyway
		r.pool = &zlibs
	}
	r.body, _ = r.pool.Get().(io.ReadCloser)
	var err error
	switch body := r.body.(type) {
	case nil:
		if r.pool == &flates {
			r.body = flate.NewReader(r.in)
		} else {
			r.body, err = zlib.NewReader(r.in)
		}
	case zlib.Resetter: // which a flate.Resetter is, too
		err = body.Reset(r.in, nil)
	}
	return r, err
}

// isZlib reports whether it is a header of zlib.
func isZlib(head []byte) bool {
	return len(head) == 2 && head[0]&0x0f == 8 && head[0]>>4 <= 7 && (int(head[0])<<8|int(head[1]))%31 == 0
}

var errTrailing = errors.New("something stands behind its end")

// deflateReader reads deflate, with nothing behind it.
type deflateReader struct {
	in   *bufio.Reader
	body io.ReadCloser
	pool *sync.Pool
}

// Read reads the content.
func (r *deflateReader) Read(p []byte) (n int, err error) {
	if n, err = r.body.Read(p); err == io.EOF { //nolint:errorlint // as io.Reader says
		if _, end := r.in.ReadByte(); end != io.EOF {
			err = errors.Join(errTrailing, end)
		}
	}
	return n, err
}

// Close lets what has read be used again.
func (r *deflateReader) Close() error {
	r.pool.Put(r.body)
	return nil
}
