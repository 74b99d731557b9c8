package framework

import (
	"errors"
	"fmt"
	"time"

	"fwx/framework/completion"
	"fwx/framework/wire/websocket"
)

// clientConn is a connection of a listener with protocol "http": the emulator of its
// server. What the client sends comes to it through the connection's data filters; it
// takes requests from it, one after the other, and has each carried out by an Exchange.
// What it answers goes back through the data filters.
//
// The client is read from only as fast as its requests go on: what has been received
// and cannot be taken yet keeps the flow held.
type clientConn struct {
	c       *Connection
	w       *httpPool
	config  *HTTPConfig
	filters []httpLink

	x          *Exchange     // whose request is received or answered; nil: the connection waits for one
	rest       []byte        // received and not taken yet
	taking     bool          // take runs
	postponed  bool          // it will be gone on
	chunkInUse bool          // a part of the chunk is on its way to a server
	chunkHeld  bool          // a filter keeps a part of it
	held       bool          // the flow waits until rest has been taken
	heldSince  time.Duration // since when
	ended      bool          // the client sends no more
	out        []byte        // for the client
	inFlight   []byte        // and on its way
	sending    bool          // something is on its way to the client
	offered    int           // bytes of that
	closing    bool          // no more requests are taken
	endSent    bool          // the end has been sent
	detached   bool

	timer    *completion.Timer
	armed    time.Duration // when it fires; 0: never
	wait     httpWait
	deadline time.Duration // of wait; 0: it has none
	up       pace          // at which the client sends the body
	down     pace          // at which it takes what is sent to it

	client, scheme, forwarding string // what is told of the client, made once
}

// httpWait is what a connection waits for.
type httpWait uint8

const (
	waitRequest httpWait = iota // the next one
	waitHead                    // the rest of a request's head
	waitBody                    // more of a request's body
	waitConnect                 // a server to be connected
	waitServer                  // the server to take or to answer
	waitDisk                    // a file to be read or written
	waitFilter                  // a filter; it has no limit
	waitTunnel                  // either side; it has no limit but the connection's own
	waitClose                   // the client to close, too
)

// lastCall is how long an idle connection is kept when the service ends: a request that
// was sent before the client could know of the end is answered.
const lastCall = 500 * time.Millisecond

// maxOut bounds what is gathered for one side before it is sent.
const maxOut = 64 << 10

// emulateHTTP makes the gateway speak HTTP with the client.
func (c *Connection) emulateHTTP() {
	h := &clientConn{c: c, w: c.fw.http(c.worker), config: c.listener.config.HTTP, filters: c.httpFilters}
	h.timer = c.worker.NewTimer(h.expire)
	h.down.left = h.config.SendTimeout
	c.emulation = &emulation{c: c, emulator: h, owner: c.listener.http}
	c.chain = append(c.chain, dataLink{filter: c.emulation, owner: c.listener.http, class: classEmulator})
	h.await(waitRequest)
}

// clientConn returns what speaks HTTP with the client; nil if nothing does.
func (c *Connection) clientConn() *clientConn {
	if c.emulation == nil {
		return nil
	}
	h, _ := c.emulation.emulator.(*clientConn)
	return h
}

// Data takes what the client has sent.
func (h *clientConn) Data(_ *Connection, chunk []byte) Verdict {
	h.rest = chunk
	if h.wait == waitBody {
		h.creditBody(len(chunk))
	}
	h.take()
	if h.taken() {
		return Pass
	}
	h.held, h.heldSince = true, h.w.worker.Now()
	return Hold
}

// taken reports whether nothing refers to the chunk any more.
func (h *clientConn) taken() bool {
	return len(h.rest) == 0 && !h.chunkInUse && !h.chunkHeld && !h.pending()
}

// pending reports whether there may be more content of a request in what has been taken.
func (h *clientConn) pending() bool { return h.x != nil && h.x.requestBody.pending() }

// End notes that the client sends no more. What it has asked for is still answered.
func (h *clientConn) End(*Connection) {
	h.ended = true
	switch x := h.x; {
	case x == nil, h.closing:
		h.closing = true
	case x.tunnel:
		x.endTunnel()
	case x.requestState == requestHead || !x.requestBody.Done():
		x.clientBroke("the client ended its request before it was complete")
	}
	h.proceed()
}

// MaySend goes on when what was sent is on its way.
func (h *clientConn) MaySend(*Connection) {
	if h.sending {
		h.sending = false
		h.down.spend(h.w.worker.Now())
		h.inFlight = h.w.giveBack(h.inFlight)
		if h.x != nil && h.x.websocket != nil {
			h.x.claimMessages() // it is less than before
		}
	}
	h.goOn()
}

// goOn goes on in both directions.
func (h *clientConn) goOn() {
	if h.x != nil {
		h.x.receive()
	}
	h.proceed()
}

// yieldTurn goes on when others have had their turn.
func (h *clientConn) yieldTurn() {
	if h.postponed {
		return
	}
	h.postponed = true
	_ = h.w.worker.Post(func() { // closed: the connection ends, too
		h.postponed = false
		h.goOn()
	})
}

// Detach ends what the connection has going on.
func (h *clientConn) Detach() {
	h.detached, h.closing = true, true
	h.timer.Stop()
	if h.x != nil {
		h.x.abandon()
	}
	h.resumeFlow()
}

// proceed goes on with what has been received, and is called after whatever it may have
// waited for.
func (h *clientConn) proceed() {
	h.take()
	h.resumeFlow()
}

// resumeFlow receives again when everything received has been taken.
func (h *clientConn) resumeFlow() {
	if h.detached {
		h.rest = nil
	}
	if h.held && h.taken() && !h.taking {
		h.held = false
		_ = h.c.Resume(Upstream, Pass) // it is held
	}
}

// take takes from what has been received what can be taken, and sends what came of it.
func (h *clientConn) take() {
	if h.taking || h.detached {
		return
	}
	h.taking = true
	if h.x != nil {
		h.x.requestBody.decoded = 0
	}
	for h.parseNext() {
	}
	h.taking = false
	if h.x != nil && h.x.server != nil {
		h.x.server.flush()
	}
	if h.x != nil && h.wait == waitBody { // it may not be the client who keeps anybody waiting
		switch x := h.x; {
		case x.spool != nil && x.spool.busy():
			h.await(waitDisk)
		case x.server != nil && x.server.sending:
			h.await(waitServer)
		}
	}
	h.flush()
}

// parseNext takes a part of what has been received; false if there is none or it must
// wait.
func (h *clientConn) parseNext() bool {
	switch x := h.x; {
	case len(h.rest) == 0 && !h.pending() || h.chunkInUse || h.c.Ended():
		return false
	case h.closing:
		h.rest = nil
		return false
	case x == nil:
		if h.sending || len(h.out) > 0 {
			return false // the answer before goes first
		}
		h.x = h.w.exchange(h)
		h.await(waitHead)
		return true
	case x.requestState == requestHead:
		return x.takeHead()
	case x.tunnel:
		return x.takeTunnel()
	case x.file != nil && x.requestState < requestComplete: // the connection ends behind the answer
		h.rest = nil
		return false
	case x.requestState == requestBody:
		return x.takeBody()
	default:
		return false // what follows is the next request
	}
}

// write puts data behind what is to be sent to the client.
func (h *clientConn) write(data []byte) {
	h.ensureOut()
	h.out = append(h.out, data...)
}

// ensureOut makes out usable.
func (h *clientConn) ensureOut() {
	if h.out == nil {
		h.out = h.w.buffer()
	}
}

// flush sends what has been gathered for the client, unless something is on its way.
func (h *clientConn) flush() {
	switch {
	case h.sending || h.c.Ended():
	case len(h.out) > 0:
		h.inFlight, h.out = h.out, nil
		h.offer(h.inFlight, nil)
	case h.closing && h.x == nil:
		h.end()
	}
}

// offer sends data, which may be in a buffer that is given away with it.
func (h *clientConn) offer(data []byte, b *completion.Buffer) {
	h.sending, h.offered = true, len(data)
	h.down.begin(h.w.worker.Now(), h.config.SendTimeout)
	h.down.earn(len(data), h.config.SendRate)
	h.arm(h.down.due())
	h.c.emulation.offer(data, b)
}

// flowing reports whether more may be received for the client: little is on its way to it.
func (h *clientConn) flowing() bool {
	const little = 8 << 10
	return !h.sending || h.offered+len(h.out) <= little
}

// end sends the end of the stream. What the client still sends is thrown away for a
// while, so that it is not reset before it has read the answer.
func (h *clientConn) end() {
	if h.endSent || h.detached {
		return
	}
	h.endSent = true
	h.await(waitClose)
	_ = h.c.CloseSend() // an error means that the connection ends
}

// draining reports whether the connection should end with its next response: the service
// ends, or a reload has replaced the listener. It is asked when the head of a response is
// written, which tells the client, and what the client was told holds.
func (h *clientConn) draining() bool {
	return h.c.fw.closing.Load() || h.c.listener.replaced.Load()
}

// drain is for the end of the service. A connection that waits for a request waits a
// little longer for one that may be on its way, and a WebSocket that can be told is told.
func (h *clientConn) drain() {
	switch {
	case h.x == nil && h.wait == waitRequest:
		h.await(waitRequest)
	case h.x != nil && h.x.websocket != nil:
		h.x.closeWebSocket(ByGateway, websocket.CodeGoingAway, "", "")
	}
}

// nextRequest goes on behind an exchange. Whoever has called sends what is left.
func (h *clientConn) nextRequest(keepAlive bool) {
	h.x = nil
	if !keepAlive || h.ended {
		h.closing = true
		return
	}
	h.await(waitRequest)
}

// await sets what the connection waits for.
func (h *clientConn) await(wait httpWait) {
	now := h.w.worker.Now()
	h.wait, h.deadline = wait, 0
	h.up.since = now
	if limit := h.waitLimit(wait); limit > 0 && !h.detached {
		h.deadline = now + limit
		h.arm(h.deadline)
	}
}

// arm sees to it that the timer has fired by a time. It is only touched if it would fire
// too late; one that fires too early looks and comes again.
func (h *clientConn) arm(by time.Duration) {
	if h.armed == 0 || h.armed > by {
		h.armed = by
		h.timer.Reset(max(by-h.w.worker.Now(), 1))
	}
}

// waitLimit returns how long a wait may last; 0: for ever.
func (h *clientConn) waitLimit(wait httpWait) time.Duration {
	switch wait {
	case waitRequest:
		if h.c.fw.closing.Load() {
			return min(h.config.KeepAlive, lastCall)
		}
		return h.config.KeepAlive
	case waitHead:
		return h.config.HeaderTimeout
	case waitBody:
		return max(h.up.left, 1) // it may have been spent before the timer has noticed
	case waitConnect:
		return h.x.upstream.config.ConnectTimeout
	case waitServer, waitDisk:
		return h.config.ResponseTimeout
	case waitClose:
		return lingerTime
	case waitFilter, waitTunnel:
	}
	return 0
}

// creditBody gives the client time for a part of its body that it has sent.
func (h *clientConn) creditBody(bytes int) {
	now := h.w.worker.Now()
	h.up.spend(now)
	h.up.earn(bytes, h.config.BodyRate)
	h.up.begin(now, h.config.BodyTimeout)
	h.deadline = h.up.due()
}

// expire is called by the timer.
func (h *clientConn) expire() {
	h.armed = 0
	if h.c.Ended() || h.detached {
		return
	}
	defer h.x.recoverPanic()
	now := h.w.worker.Now()
	if h.sending && now >= h.down.due() {
		if h.c.flows[Downstream].state == flowSending {
			h.readsTooSlowly()
			return
		}
		h.down = pace{since: now, left: h.config.SendTimeout} // it is a filter that keeps it
	}
	if h.deadline != 0 && now >= h.deadline {
		h.overdue()
	}
	if h.detached || h.c.Ended() {
		return
	}
	if h.deadline != 0 {
		h.arm(h.deadline)
	}
	if h.sending {
		h.arm(h.down.due())
	}
}

// readsTooSlowly ends the connection of a client that takes too little.
func (h *clientConn) readsTooSlowly() {
	h.c.listener.httpCutOff.Add(h.w.worker.Index(), 1)
	h.cutOff(ByLimit, fmt.Sprintf("the client has taken less than %d bytes/s of what was sent to it (send_rate) for longer than %v (send_timeout)", h.config.SendRate, h.config.SendTimeout))
}

// cutOff ends the connection at once.
func (h *clientConn) cutOff(by EndedBy, reason string) {
	if h.x != nil {
		h.x.cutOff(by, reason)
		return
	}
	h.c.breakOff(by, errors.New(reason))
}

// overdue is for a wait that has lasted too long.
func (h *clientConn) overdue() {
	h.deadline = 0
	switch h.wait {
	case waitRequest:
		h.closing = true
	case waitClose:
		h.c.end(false)
	case waitHead:
		h.x.timedOut(ByLimit, 408, "the head of the request took too long")
	case waitBody:
		h.x.timedOut(ByLimit, 408, "the body of the request came too slowly")
	case waitConnect:
		h.x.connectTimedOut()
	case waitServer:
		if h.sending { // it is the client who keeps the server waiting
			h.await(waitServer)
			return
		}
		if h.x.place != nil {
			h.x.place.Report(errSilent)
		}
		h.x.timedOut(ByLimit, 504, errSilent.Error())
	case waitDisk:
		if h.sending { // it is the client who keeps the disk waiting
			h.await(waitDisk)
			return
		}
		h.x.timedOut(ByLimit, 504, "the disk took too long")
	case waitFilter, waitTunnel:
	}
	h.proceed()
}

var errSilent = errors.New("the server took too long")

// httpPool is what the HTTP connections of a worker share.
type httpPool struct {
	fw     *Firewall
	worker *completion.Worker
	lastID uint64

	idle    map[serverKey]*idleServers // connections to servers that no exchange uses
	sweeper *completion.Timer          // ends those that nobody has used for long
	sweepAt time.Duration              // when it does

	claimed int64 // bytes that exchanges keep, see Exchange.claim

	scratch   []byte      // for whoever needs it for a moment
	buffers   [][]byte    // unused ones
	exchanges []*Exchange // unused ones
	pieces    [][]byte    // unused ones

	inflater websocket.Inflater // of messages
	deflater websocket.Deflater
}

// maxSpare bounds what a worker keeps for the next who needs it.
const maxSpare = 256

// http returns what the HTTP connections of a worker share. It is called on it.
func (fw *Firewall) http(w *completion.Worker) *httpPool {
	load := &fw.live[w.Index()]
	if load.http == nil {
		load.http = newHTTPPool(fw, w)
	}
	return load.http
}

// buffer returns an empty buffer to gather in.
func (w *httpPool) buffer() []byte {
	if n := len(w.buffers); n > 0 {
		b := w.buffers[n-1]
		w.buffers = w.buffers[:n-1]
		return b
	}
	return make([]byte, 0, 2<<10)
}

// giveBack takes a buffer back, and returns nil in its place.
func (w *httpPool) giveBack(b []byte) []byte {
	if cap(b) > 0 && cap(b) <= 2*maxOut && len(w.buffers) < maxSpare {
		w.buffers = append(w.buffers, b[:0])
	}
	return nil
}

// exchange returns an exchange for the next request of a connection.
func (w *httpPool) exchange(h *clientConn) *Exchange {
	var x *Exchange
	if n := len(w.exchanges); n > 0 {
		x = w.exchanges[n-1]
		w.exchanges = w.exchanges[:n-1]
	} else {
		x = new(Exchange)
	}
	x.begin(h)
	return x
}

// retire takes an exchange back that is over.
func (w *httpPool) retire(x *Exchange) {
	if len(w.exchanges) < maxSpare {
		w.exchanges = append(w.exchanges, x)
	}
}
