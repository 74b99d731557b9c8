package framework

import (
	"errors"
	"fmt"

	"fwx/framework/wire/coding"
	"fwx/framework/wire/http1"
)

// body is a body as it arrives. If a filter has asked for it, its content is decoded.
type body struct {
	http1.Body

	decoder  *coding.Decoder // nil: the content is taken as it comes
	received int64           // of the content, as it comes
	decoded  int             // in this turn, or what it takes to take in what has not come out
	closed   bool            // its sender has ended it with its stream
}

// maxTurn bounds what is decoded of a body before others have their turn: what comes out,
// or four times what the codings take in.
const maxTurn = 256 << 10

// begin makes it ready for a body, see http1.Body.Begin.
func (b *body) begin(framing http1.Framing, length int64, limits *http1.Limits) {
	b.Begin(framing, length, limits)
	b.decoder, b.received, b.decoded, b.closed = nil, 0, 0, false
}

// next takes a part of what was received, and returns the next piece of the content. It
// may take nothing, and need not be given anything, while pending reports true.
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

// decode returns the next piece that is decoded.
func (b *body) decode(n int) (int, []byte, error) {
	content, err := b.decoder.Next()
	b.decoded += max(len(content), 4*b.decoder.Worked())
	if errors.Is(err, coding.ErrTooLong) {
		err = fmt.Errorf("max_decoded: %w", err)
	}
	return n, content, err
}

// pending reports whether there may be more content in what has been taken.
func (b *body) pending() bool { return b.decoder != nil && b.decoder.Pending() }

// turnUsed reports whether others should have their turn.
func (b *body) turnUsed() bool { return b.pending() && b.decoded >= maxTurn }

// end is for a body that ends with its sender's stream.
func (b *body) end() {
	b.closed = true
	if b.decoder != nil {
		b.decoder.End()
	}
}

// Done reports whether the body is complete, and all of its content taken.
func (b *body) Done() bool { return (b.closed || b.Body.Done()) && !b.pending() }

// drop gives up what is left of it.
func (b *body) drop() {
	if b.decoder != nil {
		b.decoder.Close()
		b.decoder = nil
	}
}

// ErrPartial answers Exchange.DecodeBody for a part of a coded body.
var ErrPartial = errors.New("a part of a coded body cannot be decoded")

// DecodeBody asks, in Request or Response, for the content of a body without the codings
// that were applied to it: gzip, deflate, and those of Config.Codings, also several, one
// applied to the other. Upstream is the request's body, Downstream the response's. All
// filters see what was decoded, and that is what goes on. So Content-Encoding and what
// tells of the coded content is removed from the head, ETag becomes weak, and
// Accept-Ranges none, since ranges are those of the coded content (RFC 9110, 8.4, 8.8
// and 14.3).
//
// Content that is longer than HTTPConfig.MaxDecoded when it is decoded is answered with
// 413, of a response with 502, and content that is damaged or incomplete with 400 or 502;
// a response that has begun is broken off.
//
// It does nothing for a body without a coding. The error is coding.ErrUnknown for a coding
// that is not known, ErrPartial, or one that wraps ErrBadContext; then all stays as it is.
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
	if dir == Downstream && x.contentless() { // the length that the body would have is not known
		header.Remove("Content-Length")
	}
	removeCodingFields(header)
	return nil
}

// removeCodingFields makes the head of a message that of one without a coding.
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

// fieldValues returns the values of all fields of a name, given in lower case.
func fieldValues(h *http1.Header, name string) (values [][]byte) {
	for i := h.Find(name, 0); i >= 0; i = h.Find(name, i+1) {
		values = append(values, h.Value(i))
	}
	return values
}

// countUndecodable counts a body that could not be decoded, if that is what an error says.
func (x *Exchange) countUndecodable(err error) {
	l, w := x.h.c.listener, x.h.w.worker.Index()
	switch {
	case errors.Is(err, coding.ErrTooLong):
		l.httpUndecodable[0].Add(w, 1)
	case errors.Is(err, coding.ErrDamaged):
		l.httpUndecodable[1].Add(w, 1)
	}
}
