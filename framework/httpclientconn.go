package framework

import (
	"errors"
	"fmt"
	"time"

	"fwx/framework/completion"
	"fwx/framework/wire/websocket"
)

// clientConn is a client's connection of a listener with protocol "http". It is the emulator
// of the connection's server: what the client sends reaches it through the connection's data
// filters, it parses one request after the other, and each is carried out by an Exchange.
// Responses go back through the data filters.
//
// The client is read only as fast as its requests make progress: while received data cannot be
// parsed yet, the flow stays held.
type clientConn struct {
	c       *Connection
	w       *httpPool
	config  *HTTPConfig
	filters []httpLink

	x          *Exchange     // the exchange whose request is being received or answered; nil while the connection is idle
	rest       []byte        // received from the client, not yet parsed
	taking     bool          // take is running
	postponed  bool          // yieldTurn has posted a task that continues
	chunkInUse bool          // a part of the chunk is being sent to a server
	chunkHeld  bool          // a filter holds a part of the chunk
	held       bool          // the flow is held until rest has been parsed
	heldSince  time.Duration // when the flow was held
	ended      bool          // the client has ended its stream
	out        []byte        // bytes not yet sent to the client
	inFlight   []byte        // bytes being sent to the client
	sending    bool          // a send to the client is in progress
	offered    int           // number of bytes in that send
	closing    bool          // no more requests are parsed
	endSent    bool          // the end of the stream has been sent
	detached   bool

	timer    *completion.Timer
	armed    time.Duration // when the timer fires; 0: it is not armed
	wait     httpWait
	deadline time.Duration // when the wait times out; 0: never
	up       pace          // how slowly the client may send a body
	down     intake        // how slowly the client may read what is sent to it

	client, scheme, forwarding string // description of the client for the server, made once
}

// httpWait is what a client's connection is waiting for.
type httpWait uint8

const (
	waitRequest httpWait = iota // the next request
	waitHead                    // the rest of a request's head
	waitBody                    // more of a request's body
	waitConnect                 // a connection to a server
	waitServer                  // the server to read or to respond
	waitDisk                    // a file to be read or written
	waitFilter                  // a filter; without a limit
	waitTunnel                  // either side; limited only by the connection's idle_timeout
	waitClose                   // the client to close its side
)

// lastCall is how long an idle connection is kept at shutdown, so that a request which the
// client sent before it could know is still answered.
const lastCall = 500 * time.Millisecond

// maxOut bounds the bytes that are gathered for one side before they are sent.
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

// clientConn returns the HTTP side of the connection; nil if HTTP is not spoken on it.
func (c *Connection) clientConn() *clientConn {
	if c.emulation == nil {
		return nil
	}
	h, _ := c.emulation.emulator.(*clientConn)
	return h
}

// Data parses a chunk that the client has sent.
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

// taken reports whether nothing refers to the chunk that was received last.
func (h *clientConn) taken() bool {
	return len(h.rest) == 0 && !h.chunkInUse && !h.chunkHeld && !h.pending()
}

// pending reports whether a decoder may still produce content from data that was already
// parsed.
func (h *clientConn) pending() bool { return h.x != nil && h.x.requestBody.pending() }

// End notes that the client has ended its stream. Requests that are complete are still
// answered.
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

// MaySend continues when the data offered last has been handed to the kernel.
func (h *clientConn) MaySend(*Connection) {
	if h.sending {
		h.sending = false
		h.endIntake()
		h.inFlight = h.w.giveBack(h.inFlight)
		if h.x != nil && h.x.websocket != nil {
			h.x.claimMessages() // fewer bytes wait now
		}
	}
	h.goOn()
}

// goOn continues in both directions.
func (h *clientConn) goOn() {
	if h.x != nil {
		h.x.receive()
	}
	h.proceed()
}

// yieldTurn continues later, after other connections of the worker have had their turn.
func (h *clientConn) yieldTurn() {
	if h.postponed {
		return
	}
	h.postponed = true
	_ = h.w.worker.Post(func() { // an error means that the port is closed, and the connection with it
		h.postponed = false
		h.goOn()
	})
}

// Detach ends the exchange in progress, because the connection has ended.
func (h *clientConn) Detach() {
	h.detached, h.closing = true, true
	h.timer.Stop()
	if h.x != nil {
		h.x.abandon()
	}
	h.resumeFlow()
}

// proceed continues with what has been received. It is called after anything that the
// connection may have been waiting for.
func (h *clientConn) proceed() {
	h.take()
	h.resumeFlow()
}

// resumeFlow receives again once everything received has been parsed.
func (h *clientConn) resumeFlow() {
	if h.detached {
		h.rest = nil
	}
	if h.held && h.taken() && !h.taking {
		h.held = false
		_ = h.c.Resume(Upstream, Pass) // it is held
	}
}

// take parses as much of the received data as possible, and sends the result.
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
	if h.x != nil && h.wait == waitBody { // the client is not charged while the disk or the server is slow
		switch x := h.x; {
		case x.spool != nil && x.spool.busy():
			h.await(waitDisk)
		case x.server != nil && x.server.sending:
			h.await(waitServer)
		}
	}
	h.flush()
}

// parseNext parses a part of what has been received. It returns false if there is nothing to
// parse or parsing must wait.
func (h *clientConn) parseNext() bool {
	switch x := h.x; {
	case len(h.rest) == 0 && !h.pending() || h.chunkInUse || h.c.Ended():
		return false
	case h.closing:
		h.rest = nil
		return false
	case x == nil:
		if h.sending || len(h.out) > 0 {
			return false // the previous response goes first
		}
		h.x = h.w.exchange(h)
		h.await(waitHead)
		return true
	case x.requestState == requestHead:
		return x.takeHead()
	case x.tunnel:
		return x.takeTunnel()
	case x.file != nil && x.requestState < requestComplete: // the connection is closed after the response
		h.rest = nil
		return false
	case x.requestState == requestBody:
		return x.takeBody()
	default:
		return false // the data belongs to the next request
	}
}

// write appends data to the bytes to be sent to the client.
func (h *clientConn) write(data []byte) {
	h.ensureOut()
	h.out = append(h.out, data...)
}

// ensureOut allocates out if there is no buffer.
func (h *clientConn) ensureOut() {
	if h.out == nil {
		h.out = h.w.buffer()
	}
}

// flush sends what has been gathered for the client, unless a send is in progress.
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

// offer sends data. If the data is in a buffer, the buffer is given away with it.
func (h *clientConn) offer(data []byte, b *completion.Buffer) {
	h.sending, h.offered = true, len(data)
	h.beginIntake()
	h.c.emulation.offer(data, b)
}

// flowing reports whether more may be received for the client, because little is waiting to be
// sent to it.
func (h *clientConn) flowing() bool {
	const little = 8 << 10
	return !h.sending || h.offered+len(h.out) <= little
}

// end ends the stream to the client, and then discards what the client sends for a while: an
// immediate close could reset the connection before the client has read the response.
func (h *clientConn) end() {
	if h.endSent || h.detached {
		return
	}
	h.endSent = true
	h.await(waitClose)
	_ = h.c.CloseSend() // an error means that the connection ends
}

// draining reports whether the connection should be closed after its next response, because
// the service shuts down or a reload has replaced the listener. It is asked when the head of a
// response is written, since the head tells the client.
func (h *clientConn) draining() bool {
	return h.c.fw.closing.Load() || h.c.listener.replaced.Load()
}

// drain prepares the connection for the end of the service. An idle connection waits a little
// longer for a request that may be on its way, and the peers of a WebSocket are sent a close
// frame.
func (h *clientConn) drain() {
	switch {
	case h.x == nil && h.wait == waitRequest:
		h.await(waitRequest)
	case h.x != nil && h.x.websocket != nil:
		h.x.closeWebSocket(ByGateway, websocket.CodeGoingAway, "", "")
	}
}

// nextRequest continues after an exchange. The caller sends what has been gathered.
func (h *clientConn) nextRequest(keepAlive bool) {
	h.x = nil
	if !keepAlive || h.ended {
		h.closing = true
		return
	}
	h.await(waitRequest)
}

// await sets what the connection is waiting for, and arms its time-out.
func (h *clientConn) await(wait httpWait) {
	now := h.w.worker.Now()
	h.wait, h.deadline = wait, 0
	h.up.since = now
	if limit := h.waitLimit(wait); limit > 0 && !h.detached {
		h.deadline = now + limit
		h.arm(h.deadline)
	}
}

// arm makes the timer fire by a given time. A timer that fires too early checks the deadline
// and rearms itself, so it is only reset if it would fire too late.
func (h *clientConn) arm(by time.Duration) {
	if h.armed == 0 || h.armed > by {
		h.armed = by
		h.timer.Reset(max(by-h.w.worker.Now(), 1))
	}
}

// waitLimit returns how long a wait may last; 0: indefinitely.
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
		return max(h.up.left, 1) // the time may be used up before the timer fires
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

// creditBody allows the client more time for each part of the body that it has sent.
func (h *clientConn) creditBody(bytes int) {
	now := h.w.worker.Now()
	h.up.spend(now)
	h.up.earn(bytes, h.config.BodyRate)
	h.up.begin(now, h.config.BodyTimeout)
	h.deadline = h.up.due()
}

// expire is called when the timer fires.
func (h *clientConn) expire() {
	h.armed = 0
	if h.c.Ended() || h.detached {
		return
	}
	defer h.x.recoverPanic()
	now := h.w.worker.Now()
	if h.sending && now >= h.down.nextCheck && !h.checkIntake() {
		h.readsTooSlowly()
		return
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
		h.arm(h.down.nextCheck)
	}
}

// readsTooSlowly ends the connection of a client that reads below send_rate.
func (h *clientConn) readsTooSlowly() {
	h.c.listener.httpCutOff.Add(h.w.worker.Index(), 1)
	h.cutOff(ByLimit, fmt.Sprintf("the client read less than %d bytes/s (send_rate) for longer than %v (send_timeout)", h.config.SendRate, h.config.SendTimeout))
}

// cutOff ends the connection at once.
func (h *clientConn) cutOff(by EndedBy, reason string) {
	if h.x != nil {
		h.x.cutOff(by, reason)
		return
	}
	h.c.breakOff(by, errors.New(reason))
}

// overdue handles a wait that has timed out.
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
		if h.sending { // the server waits for the client to read
			h.await(waitServer)
			return
		}
		if h.x.place != nil {
			h.x.place.Report(errSilent)
		}
		h.x.timedOut(ByLimit, 504, errSilent.Error())
	case waitDisk:
		if h.sending { // the disk waits for the client to read
			h.await(waitDisk)
			return
		}
		h.x.timedOut(ByLimit, 504, "the disk took too long")
	case waitFilter, waitTunnel:
	}
	h.proceed()
}

var errSilent = errors.New("the server took too long")

// httpPool holds what the HTTP connections of a worker share: idle connections to servers,
// spare buffers, exchanges and pieces, the WebSocket compressors.
type httpPool struct {
	fw     *Firewall
	worker *completion.Worker
	lastID uint64

	idle    map[serverKey]*idleServers // connections to servers that no exchange uses
	sweeper *completion.Timer          // closes connections that have been idle for too long
	sweepAt time.Duration              // when the sweeper fires

	claimed int64 // bytes that exchanges keep in memory, see Exchange.claim

	scratch   []byte      // for short use within one call
	buffers   [][]byte    // spare buffers
	exchanges []*Exchange // spare exchanges
	pieces    [][]byte    // spare pieces for files

	inflater websocket.Inflater // decompresses messages of WebSockets
	deflater websocket.Deflater
}

// maxSpare bounds the spare buffers, and the spare exchanges, of a worker.
const maxSpare = 256

// http returns the httpPool of a worker. It is called on that worker.
func (fw *Firewall) http(w *completion.Worker) *httpPool {
	load := &fw.live[w.Index()]
	if load.http == nil {
		load.http = newHTTPPool(fw, w)
	}
	return load.http
}

// buffer returns an empty buffer.
func (w *httpPool) buffer() []byte {
	if n := len(w.buffers); n > 0 {
		b := w.buffers[n-1]
		w.buffers = w.buffers[:n-1]
		return b
	}
	return make([]byte, 0, 2<<10)
}

// giveBack returns a buffer to the pool, and returns nil to replace it.
func (w *httpPool) giveBack(b []byte) []byte {
	if cap(b) > 0 && cap(b) <= 2*maxOut && len(w.buffers) < maxSpare {
		w.buffers = append(w.buffers, b[:0])
	}
	return nil
}

// exchange returns an Exchange for the next request of a connection.
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

// retire returns an exchange that has ended to the pool.
func (w *httpPool) retire(x *Exchange) {
	if len(w.exchanges) < maxSpare {
		w.exchanges = append(w.exchanges, x)
	}
}
