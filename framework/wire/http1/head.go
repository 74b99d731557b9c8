package http1

import (
	"bytes"
	"slices"
)

// head takes the lines of a head apart as they arrive.
type head struct {
	Header

	line     uint32 // where the line that is being received begins in the text
	started  bool   // the start line is complete
	fieldsAt uint32 // where the field lines begin
	blank    bool   // an empty line before the start line was skipped

	minor   uint8 // of the version
	framing Framing
	length  int64
	options options
	upgrade span
}

// options are the members of Connection that mean something, and an Expect.
type options uint8

const (
	optionClose options = 1 << iota
	optionKeepAlive
	optionUpgrade
	optionContinue
)

func (h *head) reset() {
	h.Header.Reset()
	*h = head{Header: h.Header}
}

// take takes the next line, its end included, from data: how much of data it was, and
// whether the line is complete. tooLong is the error for a line beyond the limit.
func (h *head) take(data []byte, most int, tooLong *Error) (n int, whole bool, err *Error) {
	i := bytes.IndexByte(data, '\n') + 1
	whole = i > 0
	if !whole {
		i = len(data)
	}
	if i > most {
		return 0, false, tooLong
	}
	h.text = append(h.text, data[:i]...)
	return i, whole, nil
}

// content returns the complete line without its end.
func (h *head) content() ([]byte, *Error) {
	line := h.text[h.line : len(h.text)-1]
	n := len(line) - 1
	if n < 0 || line[n] != '\r' {
		return nil, errLineEnd
	}
	return line[:n], nil
}

// begin takes the start line, after at most one empty line (RFC 9112, 2.2).
func (h *head) begin(data []byte, most int, tooLong *Error) (n int, line []byte, err *Error) {
	for {
		used, whole, err := h.take(data[n:], most-(len(h.text)-int(h.line)), tooLong)
		n += used
		if err != nil || !whole {
			return n, nil, err
		}
		if line, err = h.content(); err != nil {
			return n, nil, err
		}
		if len(line) > 0 || h.blank {
			break
		}
		h.blank = true
		h.text = h.text[:0]
	}
	return n, line, nil
}

// beginFields notes that the start line is complete.
func (h *head) beginFields() {
	h.started = true
	h.line = uint32(len(h.text))
	h.fieldsAt = h.line
}

// parseFields takes field lines up to the empty line; done says that it was there.
func (h *head) parseFields(data []byte, limits *Limits) (n int, done bool, err *Error) {
	for n < len(data) {
		used, whole, err := h.take(data[n:], limits.Head-(len(h.text)-int(h.fieldsAt)), errHeadSize)
		n += used
		if err != nil || !whole {
			return n, false, err
		}
		line, err := h.content()
		switch {
		case err != nil:
			return n, false, err
		case len(line) == 0:
			return n, true, nil
		case len(h.fields) >= limits.Fields:
			return n, false, errFieldCount
		}
		if err := h.field(line, limits.Underscores); err != nil {
			return n, false, err
		}
		h.line = uint32(len(h.text))
	}
	return n, false, nil
}

// field takes a field line apart.
func (h *head) field(line []byte, underscores Underscores) *Error {
	if isBlank(line[0]) {
		return errFold
	}
	colon, seen := 0, class(0)
	for colon < len(line) && classes[line[colon]]&token != 0 {
		seen |= classes[line[colon]]
		colon++
	}
	switch {
	case colon == len(line):
		return errNoColon
	case line[colon] != ':':
		if bytes.IndexByte(line, ':') < 0 {
			return errNoColon
		}
		return errFieldName
	case colon == 0:
		return errFieldName
	}
	start, end := colon+1, len(line)
	for start < end && isBlank(line[start]) {
		start++
	}
	for end > start && isBlank(line[end-1]) {
		end--
	}
	for _, b := range line[start:end] {
		if classes[b]&value == 0 {
			if b == '\r' {
				return errBareCR
			}
			return errFieldValue
		}
	}
	if seen&under != 0 {
		switch underscores {
		case DropUnderscores:
			return nil
		case RejectUnderscores:
			return errUnderscore
		default:
			h.underscored = true
		}
	}
	at := h.line
	h.fields = append(h.fields, field{
		name:  span{at, at + uint32(colon)},
		value: span{at + uint32(start), at + uint32(end)},
		kind:  kindOf(line[:colon]),
	})
	return nil
}

// Begun reports whether something of the head has been parsed, and not been reset.
func (h *head) Begun() bool { return len(h.text) > 0 }

// Minor returns the minor version: 0 or 1.
func (h *head) Minor() int { return int(h.minor) }

// Framing returns how the body is delimited.
func (h *head) Framing() Framing { return h.framing }

// Length returns the Content-Length, -1 without one.
func (h *head) Length() int64 { return h.length }

// Upgrade returns the protocols that Upgrade names, if the connection is to be
// upgraded, and nil otherwise.
func (h *head) Upgrade() []byte {
	if h.upgrade == (span{}) {
		return nil
	}
	return h.bytes(h.upgrade)
}

// SetUpgrade replaces the protocols that Upgrade names; without any the connection is not to
// be upgraded. It is called before RemoveHopByHop.
func (h *head) SetUpgrade(protocols string) {
	kept := h.fields[:0]
	told := protocols == ""
	if h.upgrade = (span{}); !told {
		h.upgrade = keep(&h.Header, protocols)
	}
	for _, f := range h.fields {
		if f.kind == kindUpgrade {
			if told {
				continue
			}
			told, f.value = true, h.upgrade
		}
		kept = append(kept, f)
	}
	h.fields = kept
}

// KeepAlive reports whether the sender lets the connection go on behind the message.
func (h *head) KeepAlive() bool {
	return h.options&optionClose == 0 && (h.minor > 0 || h.options&optionKeepAlive != 0)
}

// RemoveHopByHop removes the fields that concern only the connection that the message
// came on (RFC 9110, 7.6.1): those that Connection names, and those known. Upgrade
// stays if the connection is to be upgraded. Framing, Length, KeepAlive and Upgrade
// still tell what was received. The caller writes Connection and Transfer-Encoding.
func (h *head) RemoveHopByHop() {
	for i := range h.fields {
		if h.fields[i].kind == kindConnection {
			h.markNamed(h.Value(i))
		}
	}
	kept := h.fields[:0]
	for _, f := range h.fields {
		switch f.kind {
		case kindHop, kindConnection, kindCoding:
		case kindUpgrade:
			if h.upgrade != (span{}) {
				kept = append(kept, f)
			}
		default:
			if !h.alias(f) {
				kept = append(kept, f)
			}
		}
	}
	h.fields = kept
}

// alias reports whether servers take a field for one that only the sender of the message
// writes, since they do not tell "_" from "-".
func (h *head) alias(f field) bool {
	if !h.underscored {
		return false
	}
	name := h.bytes(f.name)
	return bytes.IndexByte(name, '_') >= 0 && slices.ContainsFunc(ReservedFields[:], func(r string) bool { return takenFor(name, r) })
}

// markNamed makes the fields that a Connection names ones of the connection. Those that
// say where the message goes and where it ends are not the sender's to hide.
func (h *head) markNamed(list []byte) {
	for len(list) > 0 {
		var member []byte
		member, list = nextMember(list)
		if len(member) == 0 {
			continue
		}
		for i := range h.fields {
			f := &h.fields[i]
			if f.kind == kindOther && len(h.bytes(f.name)) == len(member) && bytes.EqualFold(h.bytes(f.name), member) {
				f.kind = kindHop
			}
		}
	}
}
