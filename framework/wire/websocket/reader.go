package websocket

import "unicode/utf8"

// Message is what a Reader returns. Data is valid until the next call of Next.
type Message struct {
	Opcode     Opcode // not Continuation
	Compressed bool   // it was; Data is not
	Data       []byte
}

// Reader takes one direction of a WebSocket apart. It is made by NewReader.
type Reader struct {
	masked   bool
	limit    int
	inflater *Inflater // nil: compression was not agreed on
	context  bool      // a message may refer to those before it

	header [maxHeader]byte
	have   int // of the header

	frame   Frame
	inFrame bool
	left    int64 // of the frame's payload

	begun      Opcode // of the message that is gathered; 0: there is none
	compressed bool
	complete   bool   // it has been returned
	data       []byte // of it
	control    [MaxControl]byte
	controls   int    // bytes in control
	window     []byte // what a message may refer to
	plain      []byte // of a message that was compressed
}

// NewReader returns a reader of what the client sends, which is masked, or of what the
// server sends, which is not. A message is at most limit bytes long, as it is sent and
// as it is decompressed. If compression has been agreed on, the inflater, which readers
// on one goroutine may share, decompresses it; otherwise it is nil. context says that the
// sender may refer to messages before.
func NewReader(masked bool, limit int, inflater *Inflater, context bool) *Reader {
	return &Reader{masked: masked, limit: limit, inflater: inflater, context: context}
}

// maxKept is the size up to which the memory of a message is kept for the next.
const maxKept = 4 << 10

// Next takes what has been received behind what it was given before, up to the end of
// the next message. It returns how much it has taken, and whether the message is
// complete. After an error, which is an *Error, nothing more can be read.
func (r *Reader) Next(data []byte) (n int, m Message, done bool, err error) {
	r.Forget()
	for {
		if !r.inFrame {
			used, begun, e := r.begin(data[n:])
			n += used
			if e != nil {
				return n, Message{}, false, e
			}
			if !begun {
				return n, Message{}, false, nil
			}
		}
		n += r.take(data[n:])
		if r.left > 0 {
			return n, Message{}, false, nil
		}
		r.inFrame = false
		switch {
		case r.frame.Opcode.Control():
			m, e := r.controlMessage()
			if e != nil {
				return n, Message{}, false, e
			}
			return n, m, true, nil
		case r.frame.Final:
			m, e := r.message()
			if e != nil {
				return n, Message{}, false, e
			}
			return n, m, true, nil
		}
	}
}

// Held returns how many bytes it keeps: of a message that is not complete, of the one
// that was returned, and of what others may refer to.
func (r *Reader) Held() int { return cap(r.data) + cap(r.plain) + cap(r.window) }

// Forget drops the message that was returned, as the next call of Next does.
func (r *Reader) Forget() {
	if !r.complete {
		return
	}
	r.complete, r.begun = false, 0
	r.data, r.plain = emptied(r.data), emptied(r.plain)
}

func emptied(b []byte) []byte {
	if cap(b) > maxKept {
		return nil
	}
	return b[:0]
}

// begin takes the header of a frame.
func (r *Reader) begin(data []byte) (n int, begun bool, err *Error) {
	for n < len(data) {
		if r.have == 0 { // as a rule all of it is there
			switch size, err := r.frame.parse(data[n:]); {
			case err != nil:
				return n, false, err
			case size > 0:
				return n + size, true, r.check()
			}
		}
		r.header[r.have] = data[n]
		r.have++
		n++
		switch size, err := r.frame.parse(r.header[:r.have]); {
		case err != nil:
			return n, false, err
		case size > 0:
			r.have = 0
			return n, true, r.check()
		}
	}
	return n, false, nil
}

// check looks at the header of a frame, and begins its payload.
func (r *Reader) check() *Error {
	f := &r.frame
	switch {
	case f.Masked && !r.masked:
		return errMasked
	case !f.Masked && r.masked:
		return errNotMasked
	}
	r.inFrame, r.left = true, f.Length
	switch f.Opcode {
	case Close, Ping, Pong:
		r.controls = 0
		switch {
		case f.Compressed:
			return errReserved
		case !f.Final:
			return errControlParts
		case f.Length > MaxControl:
			return errControlSize
		}
		return nil
	case Continuation:
		switch {
		case r.begun == 0:
			return errContinuation
		case f.Compressed:
			return errReserved
		}
	case Text, Binary:
		switch {
		case r.begun != 0:
			return errInterrupted
		case f.Compressed && r.inflater == nil:
			return errReserved
		}
		r.begun, r.compressed = f.Opcode, f.Compressed
	default:
		return errOpcode
	}
	if f.Length > int64(r.limit-len(r.data)) {
		return errTooBig
	}
	return nil
}

// take takes a part of the payload.
func (r *Reader) take(data []byte) int {
	n := int(min(r.left, int64(len(data))))
	if n == 0 {
		return 0
	}
	var part []byte
	if r.frame.Opcode.Control() {
		part = r.control[r.controls : r.controls+n]
		copy(part, data)
		r.controls += n
	} else {
		start := len(r.data)
		r.data = append(r.data, data[:n]...)
		part = r.data[start:]
	}
	if r.masked {
		mask(part, r.frame.Key, int((r.frame.Length-r.left)%4))
	}
	r.left -= int64(n)
	return n
}

func (r *Reader) controlMessage() (Message, *Error) {
	m := Message{Opcode: r.frame.Opcode, Data: r.control[:r.controls]}
	if m.Opcode == Close {
		if _, _, err := ParseClose(m.Data); err != nil {
			return Message{}, err.(*Error) //nolint:errorlint,forcetypeassert // it returns no other
		}
	}
	return m, nil
}

// message returns the message that is complete.
func (r *Reader) message() (Message, *Error) {
	m := Message{Opcode: r.begun, Compressed: r.compressed, Data: r.data}
	r.complete = true
	if r.compressed {
		var err *Error
		if r.plain, err = r.inflater.inflate(r.plain, r.data, r.window, r.limit); err != nil {
			return Message{}, err
		}
		m.Data = r.plain
		if r.context {
			r.remember(m.Data)
		}
	}
	if m.Opcode == Text && !utf8.Valid(m.Data) {
		return Message{}, errText
	}
	return m, nil
}

// remember keeps the end of what has been decompressed.
func (r *Reader) remember(data []byte) {
	if len(data) >= maxWindow {
		r.window = append(r.window[:0], data[len(data)-maxWindow:]...)
		return
	}
	if over := len(r.window) + len(data) - maxWindow; over > 0 {
		r.window = append(r.window[:0], r.window[over:]...)
	}
	r.window = append(r.window, data...)
}
