package http1

import (
	"slices"
	"strconv"
	"strings"
)

// Header is the fields of a message, in the order and the case in which they were
// received, repeated ones included. The zero value has none. What it returns is valid
// until it is next changed, parsed or reset.
type Header struct {
	text        []byte // what the spans are parts of; it only grows until reset
	fields      []field
	underscored bool // a name has "_", so one may be an alias of another
}

// span is a part of the text.
type span struct{ start, end uint32 }

type field struct {
	name, value span
	kind        kind
}

func (h *Header) bytes(s span) []byte { return h.text[s.start:s.end:s.end] }

// keep puts a text behind what there is.
func keep[T string | []byte](h *Header, text T) span {
	start := uint32(len(h.text))
	h.text = append(h.text, text...)
	return span{start, uint32(len(h.text))}
}

// Size returns how many bytes the texts take that the header keeps: those of its fields,
// of the first line, and those that were replaced or removed since it was parsed or reset.
// They must stay below 4 GiB.
func (h *Header) Size() int { return len(h.text) }

// replace puts a text in the place of another that nothing else is a part of, or behind
// what there is if it is longer.
func (h *Header) replace(old span, text string) span {
	if uint64(len(text)) > uint64(old.end-old.start) {
		return keep(h, text)
	}
	return span{old.start, old.start + uint32(copy(h.text[old.start:], text))}
}

// Reset removes all fields and keeps the memory.
func (h *Header) Reset() { *h = Header{text: h.text[:0], fields: h.fields[:0]} }

// Len returns the number of fields.
func (h *Header) Len() int { return len(h.fields) }

// Name returns the name of field i as it was received.
func (h *Header) Name(i int) []byte { return h.bytes(h.fields[i].name) }

// Value returns the value of field i.
func (h *Header) Value(i int) []byte { return h.bytes(h.fields[i].value) }

// Find returns the index of the first field of a name from index i on, -1 if there is
// none. The name is in lower case.
func (h *Header) Find(name string, i int) int {
	for ; i < len(h.fields); i++ {
		if EqualFold(h.bytes(h.fields[i].name), name) {
			return i
		}
	}
	return -1
}

// Get returns the value of the first field of a name, given in lower case; nil if
// there is none.
func (h *Header) Get(name string) []byte {
	if i := h.Find(name, 0); i >= 0 {
		return h.Value(i)
	}
	return nil
}

// Add adds a field behind the others. The name must be a token and the value without
// control characters, which ValidName and ValidValue tell; anything else panics, since
// it would let whoever chose it write a message of his own.
func (h *Header) Add(name, value string) {
	add(h, name, value)
}

// AddBytes is Add for a value in bytes, which it copies.
func (h *Header) AddBytes(name string, value []byte) { add(h, name, value) }

func add[T string | []byte](h *Header, name string, value T) {
	if !ValidName(name) || !validValue(value) {
		panic("http1: a field that must not be sent: " + name)
	}
	h.underscored = h.underscored || strings.IndexByte(name, '_') >= 0
	n := keep(h, name)
	h.fields = append(h.fields, field{name: n, value: keep(h, value), kind: kindOf(h.bytes(n))})
}

// Set gives the first field of a name a value and removes the others, and those that
// servers take for one of it (see RemoveAliases); without any it adds one. The name of a
// field that there is stays as it was received.
func (h *Header) Set(name, value string) {
	i := h.find(name)
	if i < 0 {
		h.RemoveAliases(name)
		h.Add(name, value)
		return
	}
	if !ValidValue(value) {
		panic("http1: a field that must not be sent: " + name)
	}
	h.fields[i].value = h.replace(h.fields[i].value, value)
	h.removeBut(name, i)
}

// Remove removes all fields of a name, given in any case, and those that servers take for
// one of it (see RemoveAliases).
func (h *Header) Remove(name string) { h.removeBut(name, -1) }

// find is Find for a name in any case.
func (h *Header) find(name string) int {
	for i := range h.fields {
		if equalFold2(h.Name(i), name) {
			return i
		}
	}
	return -1
}

// removeBut removes the fields of a name, and those that are taken for it, but for field
// but, unless that is negative.
func (h *Header) removeBut(name string, but int) {
	kept := 0
	for i := range h.fields {
		if i != but && takenFor(h.Name(i), name) {
			continue
		}
		if kept < i {
			h.fields[kept] = h.fields[i]
		}
		kept++
	}
	h.fields = h.fields[:kept]
}

// RemoveAliases removes the fields that servers take for one of a name, since they do not
// tell "_" from "-" (WSGI, CGI, PHP), and leaves those of the name itself.
func (h *Header) RemoveAliases(name string) {
	if !h.underscored {
		return
	}
	kept := h.fields[:0]
	for _, f := range h.fields {
		if n := h.bytes(f.name); !takenFor(n, name) || equalFold2(n, name) {
			kept = append(kept, f)
		}
	}
	h.fields = kept
}

// takenFor reports whether a server may take a field for one of a name: it has that name,
// in any case, or with "_" in the place of "-".
func takenFor(field []byte, name string) bool {
	if len(field) != len(name) {
		return false
	}
	for i, b := range field {
		if b != name[i] && (b != '_' || name[i] != '-') && lower(b) != lower(name[i]) {
			return false
		}
	}
	return true
}

func lower(b byte) byte {
	if b >= 'A' && b <= 'Z' {
		return b | 0x20
	}
	return b
}

// equalFold2 compares two texts without regard to the case of ASCII letters.
func equalFold2(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i], b[i]
		if x != y && (x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z') {
			return false
		}
	}
	return true
}

// Append appends all field lines.
func (h *Header) Append(dst []byte) []byte {
	for _, f := range h.fields {
		dst = append(dst, h.bytes(f.name)...)
		dst = append(dst, ": "...)
		dst = append(dst, h.bytes(f.value)...)
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// SetLength gives the header one Content-Length, in the place of the first one that there
// is, or none if the length is negative. Transfer-Encoding and Connection are removed: who
// sends the message writes them.
func (h *Header) SetLength(length int64) {
	var digits [20]byte
	text, told := digits[:0], length < 0
	if !told {
		text = strconv.AppendInt(text, length, 10)
	}
	kept := 0
	for i := range h.fields {
		switch f := &h.fields[i]; f.kind {
		case kindLength:
			if told {
				continue
			}
			told = true
			if string(h.bytes(f.value)) != string(text) {
				f.value = keep(h, text)
			}
		case kindCoding, kindConnection:
			continue
		default:
		}
		if kept < i {
			h.fields[kept] = h.fields[i]
		}
		kept++
	}
	h.fields = h.fields[:kept]
	if !told {
		h.AddBytes("Content-Length", text)
	}
}

// CopyFrom replaces the fields by a copy of another header's.
func (h *Header) CopyFrom(from *Header) {
	h.text = append(h.text[:0], from.text...)
	h.fields = append(h.fields[:0], from.fields...)
	h.underscored = from.underscored
}

// ValidName reports whether a text may be the name of a field.
func ValidName(name string) bool {
	for i := range len(name) {
		if classes[name[i]]&token == 0 {
			return false
		}
	}
	return name != ""
}

// Reserved reports whether a field of a name says where a message goes or ends, or
// concerns only its connection, so that nobody sets it but who sends the message.
func Reserved(name string) bool {
	return slices.ContainsFunc(ReservedFields[:], func(r string) bool { return strings.EqualFold(r, name) })
}

// ReservedFields are the names that Reserved knows, in lower case.
var ReservedFields = [...]string{"connection", "content-length", "host", "keep-alive", "te", "transfer-encoding", "upgrade"}

// ValidValue reports whether a text may be the value of a field.
func ValidValue(text string) bool { return validValue(text) }

func validValue[T string | []byte](text T) bool {
	for i := range len(text) {
		if classes[text[i]]&value == 0 {
			return false
		}
	}
	return true
}

// kind tells the fields that mean something for the message or its connection.
type kind uint8

const (
	kindOther kind = iota
	kindHost
	kindLength
	kindCoding
	kindConnection
	kindExpect
	kindUpgrade
	kindHop // of the connection, and nothing else of it matters
)

func kindOf(name []byte) kind {
	switch len(name) {
	case 2:
		return kindIf(name, "te", kindHop)
	case 4:
		return kindIf(name, "host", kindHost)
	case 6:
		return kindIf(name, "expect", kindExpect)
	case 7:
		return kindIf(name, "upgrade", kindUpgrade)
	case 10:
		if name[0]|0x20 == 'c' {
			return kindIf(name, "connection", kindConnection)
		}
		return kindIf(name, "keep-alive", kindHop)
	case 14:
		if name[0]|0x20 == 'h' {
			return kindIf(name, "http2-settings", kindHop)
		}
		return kindIf(name, "content-length", kindLength)
	case 16:
		return kindIf(name, "proxy-connection", kindHop)
	case 17:
		return kindIf(name, "transfer-encoding", kindCoding)
	case 18:
		return kindIf(name, "proxy-authenticate", kindHop)
	case 19:
		return kindIf(name, "proxy-authorization", kindHop)
	}
	return kindOther
}

func kindIf(name []byte, lower string, k kind) kind {
	if EqualFold(name, lower) {
		return k
	}
	return kindOther
}
