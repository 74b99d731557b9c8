package http1

import "slices"

// Body takes a body apart as it arrives. It is begun by Begin.
type Body struct {
	framing  Framing
	state    bodyState
	left     int64 // of the body, or of the chunk
	digits   int   // of the chunk size
	extended int   // bytes of extensions
	lines    head
	limits   *Limits
}

type bodyState uint8

const (
	bodyData bodyState = iota // content, up to left unless it goes on until the close
	bodySize                  // the digits of a chunk size
	bodyExtension
	bodySizeEnd // the LF of the line
	bodyDataEnd // the CR behind a chunk's data
	bodyDataEndLF
	bodyTrailer
	bodyDone
)

// maxSizeDigits bounds a chunk size so that it cannot overflow.
const maxSizeDigits = 15

// Begin makes it ready for a body of a framing; length is for ByLength.
func (b *Body) Begin(framing Framing, length int64, limits *Limits) {
	b.framing, b.state, b.left, b.digits, b.extended, b.limits = framing, bodyData, 0, 0, 0, limits
	b.lines.Reset()
	b.lines.line, b.lines.fieldsAt = 0, 0
	switch framing {
	case NoBody:
		b.state = bodyDone
	case ByLength:
		b.left = length
		if length == 0 {
			b.state = bodyDone
		}
	case Chunked:
		b.state = bodySize
	case UntilClose:
	}
}

// Done reports whether the body is complete. One that goes on until the close never is.
func (b *Body) Done() bool { return b.state == bodyDone }

// Trailer returns the trailer fields, once the body is complete.
func (b *Body) Trailer() *Header { return &b.lines.Header }

// Next takes what was received behind what it was given before, and returns how much
// of it it took, with the piece of content that was in it: a part of data. It may take
// a part and return no content; it is called until it has taken all or Done reports
// true. What is behind the end of the body it does not take. The error is an *Error.
func (b *Body) Next(data []byte) (n int, content []byte, err error) {
	for n < len(data) && b.state != bodyDone {
		if b.state == bodyData {
			used, content := b.data(data[n:])
			return n + used, content, nil
		}
		used, err := b.frame(data[n:])
		n += used
		if err != nil {
			return n, nil, err
		}
	}
	return n, nil, nil
}

// data returns the content at the beginning of data.
func (b *Body) data(data []byte) (n int, content []byte) {
	if b.framing == UntilClose {
		return len(data), data
	}
	n = int(min(b.left, int64(len(data))))
	b.left -= int64(n)
	if b.left == 0 {
		b.state = bodyDone
		if b.framing == Chunked {
			b.state = bodyDataEnd
		}
	}
	return n, data[:n:n]
}

// frame takes what is around the content of chunks (RFC 9112, 7.1).
func (b *Body) frame(data []byte) (n int, err error) {
	if b.state == bodyTrailer {
		return b.trailers(data)
	}
	if e := b.frameByte(data[0]); e != nil {
		return 1, e
	}
	return 1, nil
}

func (b *Body) frameByte(c byte) *Error {
	switch b.state {
	case bodySize:
		return b.size(c)
	case bodyExtension:
		switch {
		case c == '\r':
			b.state = bodySizeEnd
		case classes[c]&value == 0 || c >= 0x80:
			return errExtension
		default:
			if b.extended++; b.extended > maxExtensions {
				return errExtensions
			}
		}
	case bodySizeEnd:
		if c != '\n' {
			return errChunkSize
		}
		b.digits = 0
		b.state = bodyData
		if b.left == 0 {
			b.state = bodyTrailer
		}
	case bodyDataEnd:
		if c != '\r' {
			return errChunkEnd
		}
		b.state = bodyDataEndLF
	case bodyDataEndLF:
		if c != '\n' {
			return errChunkEnd
		}
		b.state = bodySize
	case bodyData, bodyTrailer, bodyDone: // not of the frame
	}
	return nil
}

// size takes a byte of a chunk size.
func (b *Body) size(c byte) *Error {
	switch {
	case classes[c]&hex != 0 && b.digits < maxSizeDigits:
		b.digits++
		b.left = b.left<<4 | hexValue(c)
	case b.digits == 0:
		return errChunkSize
	case c == ';':
		b.state = bodyExtension
	case c == '\r':
		b.state = bodySizeEnd
	default:
		return errChunkSize
	}
	return nil
}

// trailers takes the trailer section.
func (b *Body) trailers(data []byte) (n int, err error) {
	n, done, e := b.lines.parseFields(data, b.limits)
	if e != nil {
		return n, e
	}
	if !done {
		return n, nil
	}
	kept := b.lines.fields[:0]
	for _, f := range b.lines.fields {
		switch name := b.lines.bytes(f.name); {
		case framesMessage(name):
			return n, errTrailerField
		case ValidTrailer(name):
			kept = append(kept, f)
		}
	}
	b.lines.fields = kept
	b.state = bodyDone
	return n, nil
}

// framesMessage reports whether a field says where a message goes, or where it ends. In a
// trailer it is refused.
func framesMessage(name []byte) bool {
	switch kindOf(name) {
	case kindLength, kindCoding, kindHost, kindConnection, kindExpect:
		return true
	default:
		return EqualFold(name, "trailer")
	}
}

// ValidTrailer reports whether a field of a name may be in a trailer (RFC 9110, 6.5.1): it
// is not one by which a message is routed, authenticated, decoded or changed before its
// body is read, nor one by which a gateway tells of itself. Others are dropped when they
// are received, for a server may put them beside those of the head.
func ValidTrailer(name []byte) bool {
	if framesMessage(name) {
		return false
	}
	switch kindOf(name) {
	case kindHop, kindUpgrade:
		return false
	default:
	}
	return !slices.ContainsFunc(headFields, func(field string) bool { return takenFor(name, field) })
}

// headFields are those that belong in the head.
var headFields = []string{
	"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-real-ip", "forwarded", "via", "x-request-id", "max-forwards",
	"authorization", "cookie", "set-cookie", "www-authenticate", "authentication-info", "proxy-authentication-info", "origin", "referer",
	"location", "content-location", "content-type", "content-encoding", "content-range", "cache-control", "pragma", "vary", "age", "expires", "date",
	"retry-after", "range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "accept-encoding", "allow", "refresh",
	"strict-transport-security", "content-security-policy", "content-disposition",
	"connection", "content-length", "host", "transfer-encoding", "te", "keep-alive", "upgrade", "expect", "trailer",
}

// AppendChunk appends content as a chunk. Empty content appends nothing, since an
// empty chunk would end the body.
func AppendChunk(dst, content []byte) []byte {
	if len(content) == 0 {
		return dst
	}
	dst = AppendChunkSize(dst, len(content))
	dst = append(dst, content...)
	return append(dst, "\r\n"...)
}

// AppendChunkSize appends the line before the content of a chunk, behind which "\r\n"
// must come.
func AppendChunkSize(dst []byte, n int) []byte {
	const digits = "0123456789abcdef"
	var text [16]byte
	i := len(text)
	for {
		i--
		text[i] = digits[n&15]
		if n >>= 4; n == 0 {
			break
		}
	}
	dst = append(dst, text[i:]...)
	return append(dst, "\r\n"...)
}

// AppendLastChunk appends the end of a chunked body, with trailer fields or nil.
func AppendLastChunk(dst []byte, trailer *Header) []byte {
	dst = append(dst, "0\r\n"...)
	if trailer != nil {
		dst = trailer.Append(dst)
	}
	return append(dst, "\r\n"...)
}
