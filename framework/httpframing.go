package framework

import "fwx/framework/wire/http1"

// How a message ends is decided separately for each side (RFC 9112, 6.3). The server's
// response is parsed according to the method that the server was sent and the status that it
// returned. What the client is sent is framed according to the method that the client sent,
// the status that it is sent, and the content that remains. Filters and routes may have
// changed each of these.

// unknownLength stands for content whose end is only known when it arrives.
const unknownLength = -1

// frameRequest sets the fields that frame the request's body for the server.
func (x *Exchange) frameRequest() {
	x.lengthUp = x.requestLength()
	x.chunkedUp = x.lengthUp == unknownLength
	told := x.lengthUp
	if told == 0 && x.request.Framing() == http1.NoBody && x.request.Length() < 0 {
		told = unknownLength // no Content-Length is needed, since the client sent none
	}
	x.request.SetLength(told)
}

// requestLength returns the length of the content that is sent to the server.
func (x *Exchange) requestLength() int64 {
	r := &x.request
	switch changed := x.changesRequestBody(); {
	case x.spool != nil && !changed:
		return x.spool.size
	case x.upGathered.full():
		return int64(len(x.upGathered.data))
	case r.Framing() == http1.NoBody:
		return 0
	case r.Framing() == http1.ByLength && !changed && x.requestBody.decoder == nil:
		return r.Length()
	}
	return unknownLength
}

// frameResponse sets the fields that frame the response for the client, given the length of
// its content. If the client is sent no content, the length is only announced: the one that
// another method or status would have had.
func (x *Exchange) frameResponse(length int64) {
	p := &x.response
	x.chunkedDown = false
	switch status := p.Status(); {
	case status < 200, status == 204:
		length = unknownLength
	case status == 205:
		length = 0
	case x.contentless():
	case length == unknownLength && x.request.Minor() > 0:
		x.chunkedDown = true
	case length == unknownLength: // it ends with the connection
		x.keepAlive = false
	}
	p.SetLength(length)
}

// HasBody reports whether the message of a direction has a body, that is, its head announces
// one of more than 0 bytes. A response that is sent to the client without content (the
// response to HEAD, and those with status 204, 205 or 304) has none. Filters for bodies are
// then only told of the end.
func (x *Exchange) HasBody(dir Direction) bool {
	if dir == Upstream {
		return x.request.Framing() != http1.NoBody
	}
	return x.responseState > responseHead && x.response.Framing() != http1.NoBody && !x.contentless()
}

// contentless reports whether the client is sent no content, no matter what the server sends.
// A 205 could have a body, but means that there is nothing to show (RFC 9110, 15.3.6).
func (x *Exchange) contentless() bool {
	status := x.response.Status()
	return status == 205 || http1.Bodiless(x.request.Asked(), status)
}

// responseLength returns the length of the content of the server's response, after the
// filters. If the client is sent no content, it is the length that the server announced, if
// that is still right.
func (x *Exchange) responseLength() int64 {
	p := &x.response
	switch changed := x.responseBody.decoder != nil || x.changesResponseBody(); {
	case x.contentless():
		if changed || p.Status() != x.received || p.Find("content-length", 0) < 0 {
			return unknownLength
		}
		return p.Length()
	case x.downGathered.full():
		return int64(len(x.downGathered.data))
	case p.Framing() == http1.NoBody:
		return 0
	case p.Framing() == http1.ByLength && !changed:
		return p.Length()
	}
	return unknownLength
}

// discardResponse discards the received part of a body that is not sent to the client. If more
// of it is to come, the connection to the server cannot be reused.
func (x *Exchange) discardResponse() {
	s, b := x.server, &x.responseBody
	b.drop()
	for err := error(nil); err == nil && s != nil && len(s.rest) > 0 && !b.Body.Done(); {
		var n int
		n, _, err = b.Body.Next(s.rest)
		s.rest = s.rest[n:]
	}
	if !b.Body.Done() {
		x.dropServer()
	}
}
