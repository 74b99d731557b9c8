package http1

import "math"

// Framing is how the end of a body is known (RFC 9112, 6).
type Framing uint8

// The framings.
const (
	// NoBody: the message ends with its head.
	NoBody Framing = iota
	// ByLength: the body is as long as Length says.
	ByLength
	// Chunked: the body is sent in chunks.
	Chunked
	// UntilClose: the body of a response ends with the connection.
	UntilClose
)

// String returns the name of the framing.
func (f Framing) String() string {
	switch f {
	case NoBody:
		return "no body"
	case ByLength:
		return "length"
	case Chunked:
		return "chunked"
	case UntilClose:
		return "until close"
	}
	return "unknown"
}

// frame finds out what the fields say of the message and its connection.
func (h *head) frame() *Error {
	h.length = -1
	var chunked bool
	for i := range h.fields {
		var err *Error
		switch f := h.fields[i]; f.kind {
		case kindLength:
			err = h.readLength(h.bytes(f.value))
		case kindCoding:
			if chunked {
				return errCodings
			}
			chunked = true
			err = h.checkCoding(h.bytes(f.value))
		case kindConnection:
			h.readConnection(h.bytes(f.value))
		case kindUpgrade:
			if h.upgrade == (span{}) && f.value.start < f.value.end {
				h.upgrade = f.value
			}
		default:
		}
		if err != nil {
			return err
		}
	}
	if h.options&optionUpgrade == 0 || h.minor == 0 {
		h.upgrade = span{}
	}
	switch {
	case chunked && h.length >= 0:
		return errLengthCoding
	case chunked:
		h.framing = Chunked
	case h.length >= 0:
		h.framing = ByLength
	}
	return nil
}

func (h *head) readLength(text []byte) *Error {
	if h.length >= 0 {
		return errLengths
	}
	if len(text) == 0 {
		return errLength
	}
	n := int64(0)
	for _, b := range text {
		if !isDigit(b) || n > (math.MaxInt64-9)/10 {
			return errLength
		}
		n = n*10 + int64(b-'0')
	}
	h.length = n
	return nil
}

func (h *head) checkCoding(list []byte) *Error {
	switch {
	case h.minor == 0:
		return errCodingOld
	case EqualFold(list, "chunked"):
		return nil
	}
	var last []byte
	for len(list) > 0 {
		last, list = nextMember(list)
	}
	if EqualFold(last, "chunked") {
		return errCodingOther
	}
	return errCoding
}

func (h *head) readConnection(list []byte) {
	for len(list) > 0 {
		var member []byte
		member, list = nextMember(list)
		switch {
		case EqualFold(member, "close"):
			h.options |= optionClose
		case EqualFold(member, "keep-alive"):
			h.options |= optionKeepAlive
		case EqualFold(member, "upgrade"):
			h.options |= optionUpgrade
		}
	}
}
