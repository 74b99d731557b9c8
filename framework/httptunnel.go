package framework

// An upgraded connection is a tunnel: what one side sends is forwarded to the other unchanged,
// except for a WebSocket whose messages a filter sees.

// upgrade starts the tunnel after a 101. It returns false if it cannot be started.
func (x *Exchange) upgrade() bool {
	h := x.h
	protocol, err := x.agreed()
	if err == nil && protocol == protocolWebSocket {
		err = x.watchMessages()
	}
	x.place.Report(err)
	if err != nil {
		x.dropServer()
		x.fail(502, ByServer, x.target.address.String()+": "+err.Error())
		return false
	}
	x.response.RemoveHopByHop()
	x.frameResponse(unknownLength)
	x.tunnel, x.responseState, x.status = true, responseContent, 101
	if x.route != nil {
		applyChanges(&x.response.Header, x.route.response)
	}
	x.identify(&x.response.Header)
	h.ensureOut()
	h.out = x.response.AppendLine(h.out)
	h.out = x.response.Append(h.out)
	h.out = append(h.out, "Connection: upgrade\r\n\r\n"...)
	h.await(waitTunnel)
	return true
}

// takeTunnel forwards what the client has sent.
func (x *Exchange) takeTunnel() bool {
	h := x.h
	if x.websocket != nil {
		return x.takeMessage(Upstream, &h.rest)
	}
	if x.server == nil || x.server.sending {
		return false
	}
	data := h.rest
	h.rest = nil
	if x.peerClosed {
		return false
	}
	x.bytesUp += int64(len(data))
	x.server.write(data, false)
	return false
}

// receiveTunnel forwards what the server has sent.
func (x *Exchange) receiveTunnel() bool {
	if x.websocket != nil {
		return x.takeMessage(Downstream, &x.server.rest)
	}
	if x.h.sending {
		return false
	}
	data := x.server.rest
	x.server.rest = nil
	x.passDown(data)
	return false
}

// endTunnel forwards the end of the client's stream, if the server still reads. What that
// sends goes on until its own end comes.
func (x *Exchange) endTunnel() {
	if s := x.server; s != nil && !s.sending && !x.peerClosed {
		x.peerClosed = s.stream.CloseSend() != nil
	}
}

// endOfServer forwards the end of the server's stream.
func (x *Exchange) endOfServer() {
	x.h.closing = true
	x.finish()
}
