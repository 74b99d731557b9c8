package framework

import (
	"errors"
	"fmt"

	"fwx/framework/wire/coding"
	"fwx/framework/wire/http1"
)

// body is a body as it arrives. If a filter has asked for that, its content is decoded.
type body struct {
	http1.Body

	decoder  *coding.Decoder // nil: the content is not decoded
	received int64           // bytes of content received, before decoding
	decoded  int             // bytes decoded in this turn, or the equivalent in work
	closed   bool            // the sender has ended the body by ending its stream
}

// maxTurn bounds how much of a body is decoded before other connections have their turn: the
// bytes that come out, or four times those that go in.
const maxTurn = 256 << 10

// begin prepares for a new body, see http1.Body.Begin.
func (b *body) begin(framing http1.Framing, length int64, limits *http1.Limits) {
	b.Begin(framing, length, limits)
	b.decoder, b.received, b.decoded, b.closed = nil, 0, 0, false
}

// next parses a part of what was received, and returns the next piece of the content. While
// pending reports true it may consume nothing, and needs no data.
func (b *body) next(data []byte) (n int, content []byte, err error) {
	if b.pending() {
		return b.decode(0)
	}
	n, content, err = b.Next(data)
	b.received += int64(len(content))
	if b.decoder == nil || err != nil {
		return n, content, err
	}
	if len(content) > 0 {
		b.decoder.Push(content)
	}
	if b.Body.Done() {
		b.decoder.End()
	}
	return b.decode(n)
}

// decode returns the next decoded piece.
func (b *body) decode(n int) (int, []byte, error) {
	content, err := b.decoder.Next()
	b.decoded += max(len(content), 4*b.decoder.Worked())
	if errors.Is(err, coding.ErrTooLong) {
		err = fmt.Errorf("max_decoded: %w", err)
	}
	return n, content, err
}

// pending reports whether there may be more content in data that was already consumed.
func (b *body) pending() bool { return b.decoder != nil && b.decoder.Pending() }

// turnUsed reports whether other connections should have their turn.
func (b *body) turnUsed() bool { return b.pending() && b.decoded >= maxTurn }

// end ends a body that is delimited by the end of the stream.
func (b *body) end() {
	b.closed = true
	if b.decoder != nil {
		b.decoder.End()
	}
}

// Done reports whether the body is complete and all of its content was returned.
func (b *body) Done() bool { return (b.closed || b.Body.Done()) && !b.pending() }

// drop discards the decoder.
func (b *body) drop() {
	if b.decoder != nil {
		b.decoder.Close()
		b.decoder = nil
	}
}

// ErrPartial is returned by Exchange.DecodeBody for a part of a coded body.
var ErrPartial = errors.New("a part of a coded body cannot be decoded")

// DecodeBody asks, in Request or Response, for the content of a body without its content
// codings: gzip, deflate and those of Config.Codings, also several applied one after the
// other. Upstream means the request's body, Downstream the response's. All filters see the
// decoded content, and that is what is forwarded. So Content-Encoding and the fields that
// describe the coded content are removed from the head, ETag becomes weak, and Accept-Ranges
// "none", since ranges refer to the coded content (RFC 9110, 8.4, 8.8 and 14.3).
//
// Decoded content that is longer than HTTPConfig.MaxDecoded is answered with 413, or 502 for a
// response; damaged or incomplete content with 400 or 502. A response that has begun is broken
// off.
//
// DecodeBody does nothing for a body without a coding. It returns coding.ErrUnknown for an
// unknown coding, ErrPartial, or an error that wraps ErrBadContext; in these cases the body
// stays as it is.
func (x *Exchange) DecodeBody(dir Direction) error {
	if err := x.may(callDecode, dir); err != nil {
		return err
	}
	b, header := &x.requestBody, &x.request.Header
	if dir == Downstream {
		b, header = &x.responseBody, &x.response.Header
	}
	codings, err := x.h.c.listener.generation.Load().config.Codings.Parse(fieldValues(header, "content-encoding")...)
	switch {
	case err != nil || len(codings) == 0:
		return err
	case header.Find("content-range", 0) >= 0:
		return ErrPartial
	}
	if !b.Done() {
		b.decoder = coding.NewDecoder(codings, int64(x.h.config.MaxDecoded))
		b.decoder.Claim = x.claimForDecoder
	}
	if dir == Downstream && x.contentless() { // the length of the decoded body is unknown
		header.Remove("Content-Length")
	}
	removeCodingFields(header)
	return nil
}

// removeCodingFields removes the fields from a head that describe coded content.
func removeCodingFields(h *http1.Header) {
	for _, name := range []string{"Content-Encoding", "Content-Digest", "Repr-Digest", "Digest", "Content-MD5"} {
		h.Remove(name)
	}
	if tag := string(h.Get("etag")); len(tag) > 0 && tag[0] == '"' {
		h.Set("ETag", "W/"+tag)
	}
	if h.Find("accept-ranges", 0) >= 0 {
		h.Set("Accept-Ranges", "none")
	}
}

// fieldValues returns the values of all fields with a name, given in lower case.
func fieldValues(h *http1.Header, name string) (values [][]byte) {
	for i := h.Find(name, 0); i >= 0; i = h.Find(name, i+1) {
		values = append(values, h.Value(i))
	}
	return values
}

// countUndecodable counts a body that could not be decoded, if err says so.
func (x *Exchange) countUndecodable(err error) {
	l, w := x.h.c.listener, x.h.w.worker.Index()
	switch {
	case errors.Is(err, coding.ErrTooLong):
		l.httpUndecodable[0].Add(w, 1)
	case errors.Is(err, coding.ErrDamaged):
		l.httpUndecodable[1].Add(w, 1)
	}
}
