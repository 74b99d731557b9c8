package websocket

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// Opcode is what a frame or a message is.
type Opcode uint8

// The opcodes.
const (
	Continuation Opcode = 0x0
	Text         Opcode = 0x1
	Binary       Opcode = 0x2
	Close        Opcode = 0x8
	Ping         Opcode = 0x9
	Pong         Opcode = 0xa
)

// Control reports whether it is one of a control frame.
func (o Opcode) Control() bool { return o >= Close }

const (
	bitFin        = 0x80
	bitCompressed = 0x40
	bitsReserved  = 0x30
	bitMask       = 0x80
	length16      = 126
	length64      = 127

	// MaxControl is the most bytes that a control frame carries.
	MaxControl = 125
	maxHeader  = 14
)

// Frame is what stands before the payload of a frame.
type Frame struct {
	Opcode     Opcode
	Final      bool // it ends its message
	Compressed bool // RSV1: the message is compressed
	Masked     bool
	Key        [4]byte // the mask
	Length     int64   // of the payload
}

// AppendHeader appends the header of a frame.
func (f *Frame) AppendHeader(dst []byte) []byte {
	first, mask := byte(f.Opcode), byte(0)
	if f.Final {
		first |= bitFin
	}
	if f.Compressed {
		first |= bitCompressed
	}
	if f.Masked {
		mask = bitMask
	}
	switch {
	case f.Length < length16:
		dst = append(dst, first, mask|byte(f.Length))
	case f.Length <= math.MaxUint16:
		dst = append(dst, first, mask|length16)
		dst = binary.BigEndian.AppendUint16(dst, uint16(f.Length))
	default:
		dst = append(dst, first, mask|length64)
		dst = binary.BigEndian.AppendUint64(dst, uint64(f.Length))
	}
	if f.Masked {
		dst = append(dst, f.Key[:]...)
	}
	return dst
}

// Append appends a message in one frame. If it is masked the payload is, by the key.
func (f *Frame) Append(dst, payload []byte) []byte {
	f.Length = int64(len(payload))
	dst = f.AppendHeader(dst)
	start := len(dst)
	dst = append(dst, payload...)
	if f.Masked {
		mask(dst[start:], f.Key, 0)
	}
	return dst
}

// parse reads a header; n is 0 if it is not complete.
func (f *Frame) parse(data []byte) (n int, err *Error) {
	if len(data) < 2 {
		return 0, nil
	}
	first, second := data[0], data[1]
	if first&bitsReserved != 0 {
		return 0, errReserved
	}
	*f = Frame{Opcode: Opcode(first & 0x0f), Final: first&bitFin != 0, Compressed: first&bitCompressed != 0, Masked: second&bitMask != 0}
	n = 2
	switch short := second &^ bitMask; short {
	case length16:
		if len(data) < n+2 {
			return 0, nil
		}
		f.Length = int64(binary.BigEndian.Uint16(data[n:]))
		n += 2
		if f.Length < length16 {
			return 0, errLengthForm
		}
	case length64:
		if len(data) < n+8 {
			return 0, nil
		}
		f.Length = int64(binary.BigEndian.Uint64(data[n:]))
		n += 8
		switch {
		case f.Length < 0:
			return 0, errLengthSign
		case f.Length <= math.MaxUint16:
			return 0, errLengthForm
		}
	default:
		f.Length = int64(short)
	}
	if f.Masked {
		if len(data) < n+4 {
			return 0, nil
		}
		f.Key = [4]byte(data[n:])
		n += 4
	}
	return n, nil
}

// mask masks or unmasks a part of a payload that begins at an offset.
func mask(data []byte, key [4]byte, offset int) {
	for offset%4 != 0 && len(data) > 0 {
		data[0] ^= key[offset%4]
		data, offset = data[1:], offset+1
	}
	word := uint64(binary.LittleEndian.Uint32(key[:]))
	word |= word << 32
	for len(data) >= 8 {
		binary.LittleEndian.PutUint64(data, binary.LittleEndian.Uint64(data)^word)
		data = data[8:]
	}
	for i := range data {
		data[i] ^= key[i%4]
	}
}

// AppendClose appends the payload of a close: a code and a reason, of which the first
// bytes are taken that there is room for. With CodeNoStatus it is empty.
func AppendClose(dst []byte, code int, reason string) []byte {
	if code == CodeNoStatus {
		return dst
	}
	const room = MaxControl - 2
	if len(reason) > room {
		n := room
		for n > 0 && !utf8.RuneStart(reason[n]) {
			n--
		}
		reason = reason[:n]
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}

// ParseClose takes the payload of a close apart. The code of an empty one is CodeNoStatus.
func ParseClose(payload []byte) (code int, reason []byte, err error) {
	switch {
	case len(payload) == 0:
		return CodeNoStatus, nil, nil
	case len(payload) == 1:
		return 0, nil, errCloseSize
	}
	code, reason = int(binary.BigEndian.Uint16(payload)), payload[2:]
	switch {
	case !ValidCode(code):
		return 0, nil, errCloseCode
	case !utf8.Valid(reason):
		return 0, nil, errCloseReason
	}
	return code, reason, nil
}

// ValidCode reports whether a close may have a code: those of the standards that are
// meant to be sent, and 3000 to 4999.
func ValidCode(code int) bool {
	switch {
	case code >= CodeNormal && code <= 1003, code >= CodeInvalidData && code <= 1014:
		return true
	}
	return code >= 3000 && code <= 4999
}
