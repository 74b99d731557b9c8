package websocket

import (
	"bytes"
	"compress/flate"
	"io"
)

const (
	minWindowBits = 8
	maxWindowBits = 15
	maxWindow     = 1 << maxWindowBits
)

// tail is what a sender leaves out of the end of a message (RFC 7692, 7.2.1), and behind
// it an empty last block, by which the decompressor knows the end.
var tail = []byte{0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff}

// Inflater decompresses messages, those of many streams one after the other. The zero
// value is ready.
type Inflater struct {
	reader io.ReadCloser // a flate.Resetter
	source source
}

// source reads a message and the tail behind it.
type source struct{ data, tail []byte }

func (s *source) Read(p []byte) (n int, err error) {
	n = copy(p, s.data)
	s.data = s.data[n:]
	if n == 0 && len(s.data) == 0 {
		n = copy(p, s.tail)
		s.tail = s.tail[n:]
	}
	if n == 0 {
		err = io.EOF
	}
	return n, err
}

// ReadByte makes the decompressor take no more than it needs.
func (s *source) ReadByte() (byte, error) {
	var b [1]byte
	_, err := s.Read(b[:])
	return b[0], err
}

// inflate appends a message, decompressed, to dst, up to a limit.
func (i *Inflater) inflate(dst, data, window []byte, limit int) ([]byte, *Error) {
	i.source = source{data, tail}
	defer func() { i.source = source{} }()
	if i.reader == nil {
		i.reader = flate.NewReaderDict(&i.source, window)
	} else if err := i.reader.(flate.Resetter).Reset(&i.source, window); err != nil { //nolint:forcetypeassert // as documented
		return dst, errDeflate
	}
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		room := dst[len(dst):min(cap(dst), limit+1)]
		n, err := i.reader.Read(room)
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > limit:
			return dst, errTooBig
		case err == io.EOF && len(i.source.data) == 0 && len(i.source.tail) == 0:
			return dst, nil
		case err != nil: // or it ends before its end
			return dst, errDeflate
		}
	}
}

// Deflater compresses messages, those of many streams one after the other. The zero
// value is ready.
type Deflater struct {
	writer *flate.Writer
	out    bytes.Buffer
}

// Deflate compresses a message for a receiver whose window has so many bits. It returns
// nil where that does not pay or the receiver could not read it. What it returns is valid
// until it is called again.
func (d *Deflater) Deflate(data []byte, windowBits int) []byte {
	if len(data) > 1<<windowBits && windowBits < maxWindowBits {
		return nil // it might refer to what the receiver has forgotten
	}
	d.out.Reset()
	if d.writer == nil {
		d.writer, _ = flate.NewWriter(&d.out, flate.BestSpeed) // the level is a valid one
	} else {
		d.writer.Reset(&d.out)
	}
	_, _ = d.writer.Write(data) // into memory
	_ = d.writer.Flush()
	out := bytes.TrimSuffix(d.out.Bytes(), tail[:4])
	if len(out) >= len(data) {
		return nil
	}
	return out
}
