package framework

import (
	"errors"
	"fmt"

	"fwx/framework/wire/coding"
	"fwx/framework/wire/http1"
)

// receive processes what the server has sent.
func (x *Exchange) receive() {
	h := x.h
	if x.file != nil {
		x.file.send()
		return
	}
	x.responseBody.decoded = 0
	for more := true; more && !x.done && x.server != nil && (len(x.server.rest) > 0 || x.responseBody.pending()); {
		more = x.receiveNext()
	}
	if s := x.server; !x.done && s != nil && !s.connecting && !s.closed && len(s.rest) == 0 && !x.responseBody.pending() && !x.down.held {
		s.releaseBuffer()
		h.flush()
		if h.flowing() {
			if err := s.receive(); err != nil {
				x.serverEnded(err)
			}
		}
	}
	h.flush()
}

// receiveNext processes a part of what the server has sent. It returns false if it must wait.
func (x *Exchange) receiveNext() bool {
	switch {
	case x.responseState == responseHead && !x.h.sending:
		return x.receiveHead()
	case x.tunnel:
		return x.receiveTunnel()
	case x.responseState == responseContent:
		return x.receiveBody()
	}
	return false
}

// receiveHead parses more of the response's head.
func (x *Exchange) receiveHead() bool {
	s := x.server
	n, done, err := x.response.Parse(s.rest, &x.h.config.limits, x.sentMethod)
	s.rest = s.rest[n:]
	switch {
	case err != nil:
		x.place.Report(err)
		x.dropServer()
		x.fail(502, ByServer, fmt.Sprintf("%s: malformed response: %v", x.target.address, err))
		return false
	case !done:
		return true
	}
	switch status := x.response.Status(); {
	case status == 101:
		return x.upgrade()
	case status < 200:
		x.passInterim()
		return true
	}
	x.place.Report(nil)
	x.received = x.response.Status()
	x.responseBody.begin(x.response.Framing(), x.response.Length(), &x.h.config.limits)
	s.heedKeepAlive(&x.response)
	if offered := x.response.Upgrade(); offered != nil {
		x.response.SetUpgrade(x.h.config.allowed(offered))
	}
	x.response.RemoveHopByHop()
	x.responseState = responseHeld
	if x.route != nil {
		applyChanges(&x.response.Header, x.route.response)
	}
	x.filterResponse()
	return true
}

// passInterim forwards an interim response such as 100 Continue, which another response
// follows.
func (x *Exchange) passInterim() {
	if x.interims++; x.interims > maxInterims {
		x.place.Report(errInterims)
		x.fail(502, ByServer, x.target.address.String()+": "+errInterims.Error())
		return
	}
	if x.request.Minor() > 0 {
		x.response.RemoveHopByHop()
		x.frameResponse(unknownLength)
		x.h.ensureOut()
		x.h.out = x.response.AppendLine(x.h.out)
		x.h.out = x.response.Append(x.h.out)
		x.h.write([]byte("\r\n"))
	}
	x.response.Reset()
}

// maxInterims bounds the interim responses to a request.
const maxInterims = 100

var errInterims = fmt.Errorf("more than %d interim responses", maxInterims)

// passHead sends the response's head to the client, after the filters.
func (x *Exchange) passHead() {
	x.frameResponse(x.responseLength())
	if x.requestState < requestComplete {
		x.keepAlive = false // the rest of the request may never arrive
	}
	x.responseState = responseContent
	x.writeHead()
}

// writeHead appends the response's head to the bytes for the client.
func (x *Exchange) writeHead() {
	h, p := x.h, &x.response
	x.status = p.Status()
	if h.draining() {
		x.keepAlive = false
	}
	x.identify(&p.Header)
	h.ensureOut()
	h.out = p.AppendLine(h.out)
	h.out = p.Append(h.out)
	if x.chunkedDown {
		h.out = append(h.out, "Transfer-Encoding: chunked\r\n"...)
	}
	switch {
	case !x.keepAlive:
		h.out = append(h.out, "Connection: close\r\n"...)
	case x.request.Minor() == 0:
		h.out = append(h.out, "Connection: keep-alive\r\n"...)
	}
	h.out = append(h.out, "\r\n"...)
}

// receiveBody parses more of the response's body.
func (x *Exchange) receiveBody() bool {
	h, s := x.h, x.server
	if x.down.held || h.sending {
		return false
	}
	if x.responseBody.turnUsed() {
		h.yieldTurn()
		return false
	}
	n, content, err := x.responseBody.next(s.rest)
	s.rest = s.rest[n:]
	if err != nil {
		x.countUndecodable(err)
		if errors.Is(err, coding.ErrNoMemory) {
			x.fail(503, ByLimit, errMemory.Error())
			return false
		}
		x.breakResponse(ByServer, fmt.Sprintf("%s: malformed response: %v", x.target.address, err))
		return false
	}
	if h.wait == waitServer {
		h.await(waitServer)
	}
	if len(content) > 0 {
		x.filterResponseBody(content)
	}
	if x.done || x.down.held {
		return false
	}
	if x.responseBody.Done() {
		x.endResponseBody()
		return false
	}
	return len(h.out) <= maxOut
}

// passDown sends content of the response's body to the client. A large part at the end of the
// receive buffer is sent from there, and the buffer given away with it.
func (x *Exchange) passDown(content []byte) {
	const large = 8 << 10
	h := x.h
	x.bytesDown += int64(len(content))
	switch s := x.server; {
	case x.chunkedDown:
		h.ensureOut()
		h.out = http1.AppendChunk(h.out, content)
	case len(h.out) == 0 && !h.sending && len(content) >= large && s != nil && len(s.rest) == 0 && x.owns(content):
		b := s.buffer
		s.buffer, s.rest = nil, nil
		h.offer(content, b)
	default:
		h.write(content)
	}
}

// owns reports whether content is the end of the buffer that was received from the server.
func (x *Exchange) owns(content []byte) bool {
	b := x.server.buffer
	if b == nil {
		return false
	}
	all := b.Bytes()
	return &all[len(all)-1] == &content[len(content)-1]
}

// endResponse continues when all of the response has been forwarded.
func (x *Exchange) endResponse() {
	h := x.h
	x.responseState = responseComplete
	if x.chunkedDown {
		h.ensureOut()
		h.out = http1.AppendLastChunk(h.out, x.responseBody.Trailer())
	}
	if s := x.server; s != nil {
		if len(s.rest) > 0 {
			h.c.fw.logger.Warn("a server sent data after its response", "upstream", x.upstream.config.Name, "server", x.target.address.String(),
				"id", string(x.id[:]), "bytes", len(s.rest))
		}
		again := x.requestState == requestComplete && !x.peerClosed && x.response.KeepAlive() && x.responseBody.Body.Done()
		if again && len(s.rest) == 0 {
			s.releaseBuffer()
			again = s.receive() == nil
		}
		s.release(again)
	}
	x.finish()
}
