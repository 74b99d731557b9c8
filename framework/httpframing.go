package framework

import "fwx/framework/wire/http1"

// How a message ends is decided anew for each side (RFC 9112, 6.3). What the server sends
// is read by the method that it was sent and the status that it answered; what the client
// is sent ends by the method that the client sent, the status that it is sent, and the
// content that there is. Filters and routes may have changed either.

// unknownLength is that of content whose end is only known when it comes.
const unknownLength = -1

// frameRequest makes the request's head say how its body goes on to the server.
func (x *Exchange) frameRequest() {
	x.lengthUp = x.requestLength()
	x.chunkedUp = x.lengthUp == unknownLength
	told := x.lengthUp
	if told == 0 && x.request.Framing() == http1.NoBody && x.request.Length() < 0 {
		told = unknownLength // it needs no Content-Length, as the client has sent none
	}
	x.request.SetLength(told)
}

// requestLength returns the length of the content that goes on to the server.
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

// frameResponse makes the response's head say how it ends for the client, given the length
// of its content. Without content for the client the length is only told: that of what
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

// HasBody reports whether a body comes with the message of a direction: its head tells of
// one, other than of 0 bytes. A response has none, either, that goes on to the client
// without (the answer to HEAD, and those with the status 204, 205 or 304). Filters for
// bodies are then told the end alone.
func (x *Exchange) HasBody(dir Direction) bool {
	if dir == Upstream {
		return x.request.Framing() != http1.NoBody
	}
	return x.responseState > responseHead && x.response.Framing() != http1.NoBody && !x.contentless()
}

// contentless reports whether the client is sent no content, whatever there is: a 205
// could have a body, but says that there is nothing to show (RFC 9110, 15.3.6).
func (x *Exchange) contentless() bool {
	status := x.response.Status()
	return status == 205 || http1.Bodiless(x.request.Asked(), status)
}

// responseLength returns the length of the content of the server's response, after the
// filters. Of one that the client is sent no content of it is what the server has told, if
// that still holds.
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

// discardResponse takes what has come of a body that does not go on to the client. Unless
// that is all of it the connection to the server is of no more use.
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
