package framework

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"fwx/framework/balance"
	"fwx/framework/completion"
	"fwx/framework/wire/coding"
	"fwx/framework/wire/http1"
)

// Exchange is a request and its response on a connection of a listener with protocol "http".
// It lives on the connection's worker. Its methods are called on that worker only, from when
// the request's head is complete until the last filter has been told of the end. Then it is
// reused for another request.
type Exchange struct {
	serial       uint64 // changes with each reuse
	request      http1.Request
	requestBody  body
	response     http1.Response
	responseBody body
	clean        []byte // the cleaned path

	progress
}

// progress is the state of one use of an Exchange.
type progress struct {
	h       *clientConn
	id      [16]byte
	started time.Duration // when the first byte of the request was received
	done    bool          // the exchange has ended

	requestState requestState
	committed    bool // the request's head has been forwarded, or never will be: it can no longer change
	route        *route
	upstream     *upstream         // where the request goes; nil until that is decided
	server       *serverConn       // the connection to the server; nil if there is none
	target       serverKey         // the server chosen last
	place        *balance.Server   // the server at which the exchange occupies a place; nil: at none
	tried        []*balance.Server // servers that have failed
	retries      int               // how often the request has been sent again
	pauses       int               // how often it has waited for a descriptor
	pausing      bool              // it waits for one
	lastErr      error             // why no server was found, or how the last one failed
	peerClosed   bool              // the server has stopped reading
	sentMethod   []byte            // the method that the server was sent
	lengthUp     int64             // length of the content sent to the server, or unknownLength
	chunkedUp    bool              // the request's body is sent in chunks

	responseState responseState
	interims      int        // number of interim responses received
	received      int        // the status that the server sent
	chunkedDown   bool       // the response's body is sent in chunks
	keepAlive     bool       // keep the client's connection open after this exchange
	tunnel        bool       // the connection has been upgraded
	websocket     *webSocket // its WebSocket, if filters see the messages; nil otherwise

	up, down                 filterPass // the pass of the filters in each direction
	upGathered, downGathered gatheredBody
	kept                     *completion.Buffer // the buffer of a dropped server connection, of which a filter holds a part
	values                   values
	spool                    *Spool      // holds the request's body on disk; nil: the body is not spooled
	file                     *fileAnswer // reads the response's body from a file; nil: there is no such file

	claimed            int // bytes that the exchange keeps in memory, see claim
	status             int
	bytesUp, bytesDown int64   // size of the bodies
	by                 EndedBy // who ended it before the response was complete
	reason             string  // what went wrong
}

type requestState uint8

const (
	requestHead     requestState = iota // the head is being received
	requestHeld                         // filters are being asked, or a server is being connected
	requestBody                         // the body is being forwarded to the server
	requestComplete                     // the whole request has been received
)

type responseState uint8

const (
	responseHead     responseState = iota // the head is awaited
	responseHeld                          // filters are being asked
	responseContent                       // the body is being sent to the client
	responseComplete                      // the whole response has been received
)

// begin prepares the exchange for the next request of a connection.
func (x *Exchange) begin(h *clientConn) {
	x.request.Reset()
	x.response.Reset()
	x.responseBody.begin(http1.NoBody, 0, nil) // the gateway's own responses leave it this way
	x.serial++
	x.progress = progress{h: h, started: h.w.worker.Now()}
	h.w.lastID++
	var id [8]byte
	binary.BigEndian.PutUint64(id[:], h.w.lastID)
	hex.Encode(x.id[:], id[:])
	h.up.left = h.config.BodyTimeout
	h.c.listener.httpActive.Add(1)
}

// takeHead parses more of the request's head.
func (x *Exchange) takeHead() bool {
	h := x.h
	n, done, err := x.request.Parse(h.rest, &h.config.requestLimits)
	h.rest = h.rest[n:]
	if err != nil {
		x.refuse(err)
		return false
	}
	if done {
		x.complete()
	}
	return true
}

// refuse answers a malformed request and closes the connection, because it is not known where
// the next request would begin.
func (x *Exchange) refuse(err error) {
	status, by := 400, ByClient
	if e := (*http1.Error)(nil); errors.As(err, &e) {
		status = e.Status
	} else if errors.Is(err, coding.ErrTooLong) {
		status = 413
	} else if errors.Is(err, coding.ErrNoMemory) {
		status, err = 503, errMemory
	}
	if status == 413 || status == 414 || status == 431 {
		by = ByLimit
	}
	x.countUndecodable(err)
	x.keepAlive = false
	x.fail(status, by, err.Error())
}

// complete continues when the request's head is complete.
func (x *Exchange) complete() {
	h, r := x.h, &x.request
	x.requestState = requestHeld
	x.keepAlive = r.KeepAlive()
	x.requestBody.begin(r.Framing(), r.Length(), &h.config.requestLimits)
	h.await(waitFilter)
	switch most := int64(h.config.MaxBody); {
	case r.Is("CONNECT"): // what follows may be meant for the host named in the request
		x.keepAlive = false
		x.fail(501, ByGateway, "CONNECT is not supported")
		return
	case most > 0 && r.Length() > most:
		x.fail(413, ByLimit, "the body is longer than max_body")
		return
	}
	x.narrowUpgrade()
	r.RemoveHopByHop()
	x.filterRequest()
}

// forward sends the request to its upstream, after the filters.
func (x *Exchange) forward() {
	x.committed = true
	l := x.h.c.listener
	x.route = l.route(x)
	if x.route != nil {
		applyChanges(&x.request.Header, x.route.request)
	}
	if x.route.answers() {
		x.route.answer(x)
		return
	}
	if x.upstream == nil {
		x.upstream = x.h.c.upstream
		if x.route != nil && x.route.upstream != nil {
			x.upstream = x.route.upstream
		}
	}
	x.h.addForwardedFields(&x.request)
	if x.request.Upgrade() != nil && x.seesMessages() {
		x.narrowExtensions()
	}
	x.identify(&x.request.Header)
	x.frameRequest()
	x.connect()
}

// connect takes an idle connection to a server, or begins to connect to one. It tries one
// server after the other.
func (x *Exchange) connect() {
	h := x.h
	for x.choose() {
		if s := x.idleServer(); s != nil {
			x.server, s.x = s, x
			h.c.listener.httpServers[1].Add(h.w.worker.Index(), 1)
			x.sendHead()
			return
		}
		err := h.w.dial(x, x.target)
		if err == nil {
			h.c.listener.httpServers[0].Add(h.w.worker.Index(), 1)
			h.await(waitConnect)
			return
		}
		if x.awaitDescriptor(err) {
			return
		}
		x.serverFailed(err)
	}
	switch {
	case len(x.tried) == 0:
		x.fail(503, ByServer, fmt.Sprintf("upstream %q: %v", x.upstream.config.Name, x.lastErr))
	case errors.Is(x.lastErr, errConnectTimeout):
		x.fail(504, ByServer, x.unreachable())
	default:
		x.fail(502, ByServer, x.unreachable())
	}
}

func (x *Exchange) unreachable() string {
	return fmt.Sprintf("upstream %q: no server could be reached, the last one tried was %s: %v", x.upstream.config.Name, x.target.address, x.lastErr)
}

// choose occupies a place at a server, unless the exchange has one. It returns false if no
// server is left.
func (x *Exchange) choose() bool {
	if x.place != nil {
		return true
	}
	if len(x.tried) >= maxAttempts {
		return false
	}
	place, err := x.upstream.balancer.Choose(x.key(), x.tried)
	if err != nil {
		if len(x.tried) == 0 {
			x.lastErr = err
		}
		return false
	}
	x.place, x.target = place, serverKey{x.upstream, place.Address()}
	return true
}

// key is the hash key by which a server is chosen.
func (x *Exchange) key() uint64 {
	switch header := x.upstream.header; header {
	case "":
	case "host": // normalized, so that all spellings choose the same server
		if name := x.request.Hostname(); len(name) > 0 {
			return balance.Key(name)
		}
	default:
		if value := x.request.Get(header); value != nil {
			return balance.Key(value)
		}
	}
	return balance.AddressKey(x.h.c.client.Addr())
}

// serverFailed reports that the chosen server has failed, and gives up the place there.
func (x *Exchange) serverFailed(err error) {
	x.lastErr = err
	x.place.Report(err)
	x.tried = append(x.tried, x.place)
	x.releasePlace()
}

// releasePlace gives up the place at the server.
func (x *Exchange) releasePlace() {
	if x.place != nil {
		x.place.Release()
		x.place = nil
	}
}

// idleServer takes an idle connection to the server. A retry does not use one, because it may
// have been closed, too.
func (x *Exchange) idleServer() *serverConn {
	if x.retries > 0 {
		return nil
	}
	return x.h.w.takeIdle(x.target)
}

var errConnectTimeout = errors.New("connect timed out")

// connectTimedOut gives up a server that takes too long to connect.
func (x *Exchange) connectTimedOut() {
	x.pausing = false
	x.dropServer()
	x.connectFailed(errConnectTimeout)
}

// connectFailed continues with the next server.
func (x *Exchange) connectFailed(err error) {
	x.server = nil
	x.serverFailed(err)
	x.connect()
	x.h.proceed()
}

// connected continues when a server has been connected.
func (x *Exchange) connected() {
	x.sendHead()
	x.h.proceed()
}

// sendHead appends the request's head to the bytes for the server, and continues with the
// body.
func (x *Exchange) sendHead() {
	s, r := x.server, &x.request
	x.sentMethod = r.Method()
	s.ensureOut()
	s.out = r.AppendLine(s.out)
	if r.Find("host", 0) < 0 { // HTTP/1.0 clients may leave it out
		s.out = append(append(append(s.out, "Host: "...), x.host()...), "\r\n"...)
	}
	s.out = r.Append(s.out)
	if x.chunkedUp {
		s.out = append(s.out, "Transfer-Encoding: chunked\r\n"...)
	}
	if r.Upgrade() != nil {
		s.out = append(s.out, "Connection: upgrade\r\n"...)
	}
	s.out = append(s.out, "\r\n"...)
	x.requestState = requestBody
	gathered := x.upGathered.data
	x.upGathered.data = nil
	switch {
	case x.spool != nil:
		x.spool.release()
	case x.upGathered.full():
		x.passUp(gathered)
		x.endRequest()
	case len(gathered) > 0:
		x.passGathered(gathered)
	case x.requestBody.Done():
		x.endRequest()
	default:
		x.h.await(waitBody)
	}
}

// passGathered continues with the part of a body that was gathered before the body turned out
// to be too long.
func (x *Exchange) passGathered(data []byte) {
	x.h.await(waitBody)
	x.filterRequestBody(data)
	if !x.done && !x.up.held && x.requestBody.Done() {
		x.endRequestBody()
	}
}

// host returns the host of a request without a Host field.
func (x *Exchange) host() string {
	switch host := x.request.Host(); {
	case len(host) > 0: // the request target names it
		return string(host)
	case x.target.address.IsUnix():
		return "localhost"
	default:
		return x.target.address.String()
	}
}

// takeBody parses more of the request's body.
func (x *Exchange) takeBody() bool {
	h := x.h
	if x.up.held || x.spool != nil && x.spool.busy() || x.server != nil && (x.server.sending || len(x.server.out) > maxOut) {
		return false
	}
	if x.requestBody.turnUsed() {
		h.yieldTurn()
		return false
	}
	n, content, err := x.requestBody.next(h.rest)
	h.rest = h.rest[n:]
	if err != nil {
		x.refuse(err)
		return false
	}
	x.bytesUp = x.requestBody.received
	if most := int64(h.config.MaxBody); most > 0 && x.bytesUp > most {
		x.fail(413, ByLimit, "the body is longer than max_body")
		return false
	}
	if len(content) > 0 {
		x.filterRequestBody(content)
	}
	if x.requestBody.Done() && !x.up.held && x.requestState == requestBody {
		x.endRequestBody()
	}
	return !x.done
}

// passUp sends content of the request's body to the server.
func (x *Exchange) passUp(content []byte) {
	if x.server != nil && !x.peerClosed && len(content) > 0 {
		x.server.write(content, x.chunkedUp)
	}
}

// endRequest continues when all of the request has been forwarded.
func (x *Exchange) endRequest() {
	x.requestState = requestComplete
	if x.chunkedUp && x.server != nil && !x.peerClosed {
		x.server.ensureOut()
		x.server.out = http1.AppendLastChunk(x.server.out, x.requestBody.Trailer())
	}
	x.h.await(waitServer)
}

// sent continues when the server has been sent what was gathered for it.
func (x *Exchange) sent() {
	switch {
	case x.tunnel:
		if x.websocket != nil {
			x.claimMessages() // it is less than before
		}
		if (x.h.ended || x.websocket.isLingering()) && len(x.server.out) == 0 {
			x.endTunnel()
		}
	case x.up.held || x.down.held:
	case x.spool != nil:
		x.spool.proceed()
	case x.requestState == requestBody:
		x.h.await(waitBody)
	default:
		x.h.await(waitServer)
	}
	if x.server != nil {
		x.server.flush()
	}
}

// serverNotReading handles a server that has stopped reading. It may have sent a response all
// the same; in a tunnel, the client gets what the server has sent before the end does.
func (x *Exchange) serverNotReading() {
	x.peerClosed = true
	if x.tunnel {
		x.server.out = x.h.w.giveBack(x.server.out)
		return
	}
	x.h.await(waitServer)
}

// serverEnded handles a server that has ended its stream, or reset the connection.
func (x *Exchange) serverEnded(err error) {
	switch {
	case x.tunnel:
		x.endOfServer()
		return
	case x.responseState == responseContent && x.response.Framing() == http1.UntilClose && err == nil:
		x.responseBody.end()
		if x.responseBody.Done() {
			x.endResponseBody()
		} else {
			x.receive()
		}
		return
	case x.responseState != responseHead:
		x.breakResponse(ByServer, "the server closed the connection before its response was complete")
		return
	}
	s := x.server
	fresh := !s.reused
	x.dropServer()
	if err == nil {
		err = errNoAnswer
	}
	if x.mayRetry() {
		if fresh {
			if x.serverFailed(err); !x.choose() { // no other server is left: try all of them again
				x.tried = x.tried[:0]
			}
		}
		x.retries++
		x.response.Reset()
		x.connect()
		return
	}
	x.place.Report(err)
	x.fail(502, ByServer, fmt.Sprintf("%s: %v", x.target.address, err))
}

var errNoAnswer = errors.New("the server closed the connection without a response")

// maxRetries bounds how often a request is sent again.
const maxRetries = 3

// mayRetry reports whether the request may be sent again: its method is idempotent (RFC 9110,
// 9.2.2), it has no content, and no part of a response has arrived.
func (x *Exchange) mayRetry() bool {
	r := &x.request
	return x.retries < maxRetries && x.interims == 0 && !x.response.Begun() && r.Framing() == http1.NoBody && x.lengthUp == 0 && r.Upgrade() == nil &&
		(r.Is("GET") || r.Is("HEAD") || r.Is("OPTIONS") || r.Is("TRACE") || r.Is("PUT") || r.Is("DELETE"))
}

// dropServer closes the connection to the server.
func (x *Exchange) dropServer() {
	if s := x.server; s != nil {
		s.release(false)
	}
}

// timedOut handles a client or a server that has taken too long.
func (x *Exchange) timedOut(by EndedBy, status int, reason string) {
	x.keepAlive = false
	if x.responseBegun() {
		x.breakResponse(by, reason)
		return
	}
	x.fail(status, by, reason)
}

// clientBroke handles a client that has closed the connection in the middle of its request.
func (x *Exchange) clientBroke(reason string) {
	x.timedOut(ByClient, 400, reason)
}

// responseBegun reports whether the client has been sent a part of the response. A response
// that is being gathered has not been sent yet.
func (x *Exchange) responseBegun() bool { return x.responseState >= responseContent && !x.gathering() }

func (x *Exchange) gathering() bool {
	return x.responseState == responseContent && x.downGathered.full()
}

// breakResponse ends a response that cannot be completed, in a way that the client can detect.
func (x *Exchange) breakResponse(by EndedBy, reason string) {
	if x.gathering() {
		x.fail(502, by, reason)
		return
	}
	x.by, x.reason = by, reason
	x.dropServer()
	x.h.c.noteError(by, errors.New(reason))
	x.end()
	x.h.c.end(true)
}

// cutOff breaks the response off because of the client.
func (x *Exchange) cutOff(by EndedBy, reason string) {
	x.by, x.reason = by, reason
	if x.status == 0 {
		x.status = 499
	}
	c := x.h.c
	x.end()
	c.breakOff(by, errors.New(reason))
}

// abandon ends the exchange because the client's connection has ended.
func (x *Exchange) abandon() {
	x.inheritEnd()
	if x.reason == "" && !x.tunnel {
		x.by, x.reason = ByClient, "the client closed the connection"
		if x.status == 0 {
			x.status = 499
		}
	}
	x.end()
}

// inheritEnd takes over who ended the connection and why, unless it was the client.
func (x *Exchange) inheritEnd() {
	if c := x.h.c; x.reason == "" && c.Ended() && c.by != ByNobody && c.by != ByClient {
		x.by, x.reason = c.by, c.reason
	}
}

// finish ends the exchange and continues with the connection.
func (x *Exchange) finish() {
	h, keepAlive := x.h, x.keepAlive && x.requestState == requestComplete && !x.tunnel
	x.end()
	if !h.detached {
		h.nextRequest(keepAlive)
	}
}

// end ends the exchange, once.
func (x *Exchange) end() {
	if x.done {
		return
	}
	x.done = true
	x.inheritEnd()
	if s := x.server; s != nil && x.down.held {
		x.kept, s.buffer = s.buffer, nil
	}
	x.requestBody.drop()
	x.responseBody.drop()
	x.dropServer()
	x.releasePlace()
	x.endFile()
	x.endSpool()
	x.unclaim()
	x.account()
	x.endFilters()
	h := x.h
	h.x = nil
	if !x.up.held && !x.down.held {
		h.w.retire(x)
	}
}

// account counts and logs the exchange.
func (x *Exchange) account() {
	h, l, w := x.h, x.h.c.listener, x.h.w.worker.Index()
	l.httpActive.Add(-1)
	took := h.w.worker.Now() - x.started
	l.httpRequests[min(max(x.status/100, 0), 5)].Add(w, 1)
	l.httpSeconds.Observe(w, took.Seconds())
	if !h.config.AccessLog {
		if x.reason != "" {
			h.c.fw.logger.Warn("request failed", "listener", l.config.Name, "connection", h.c.id, "id", string(x.id[:]),
				"client", h.c.client.String(), "status", x.status, "reason", x.reason, "by", x.by.String())
		}
		return
	}
	attrs := []slog.Attr{
		slog.String("listener", l.config.Name), slog.Uint64("connection", h.c.id), slog.String("id", string(x.id[:])),
		slog.String("client", h.c.client.String()), slog.String("method", string(x.request.Method())), slog.String("host", string(x.request.Host())),
		slog.String("path", string(x.request.Path())), slog.Int("status", x.status), slog.Int64("bytes_up", x.bytesUp), slog.Int64("bytes_down", x.bytesDown),
		slog.Duration("took", took),
	}
	if x.target.address != (completion.Address{}) {
		attrs = append(attrs, slog.String("server", x.target.address.String()))
	}
	if x.reason != "" {
		attrs = append(attrs, slog.String("reason", x.reason), slog.String("by", x.by.String()))
	}
	h.c.fw.logger.LogAttrs(context.Background(), slog.LevelInfo, "request", attrs...)
}

// identify adds the request's id to a message.
func (x *Exchange) identify(header *http1.Header) {
	if name := x.h.config.RequestID; name != NoField {
		header.Set(string(name), string(x.id[:]))
	}
}

// addForwardedFields adds the fields that tell the server about the client.
func (h *clientConn) addForwardedFields(r *http1.Request) {
	if *h.config.Via {
		r.Add("Via", "1.1 fwx")
	}
	mode := h.config.Forwarded
	if mode == ForwardedOff {
		return
	}
	if h.client == "" {
		h.describeClient()
	}
	host := r.Host()
	for _, name := range forwardedFields {
		if mode == ForwardedReplace {
			r.Remove(name)
		} else {
			r.RemoveAliases(name)
		}
	}
	r.Add("X-Forwarded-For", h.client)
	r.Add("X-Forwarded-Proto", h.scheme)
	h.w.scratch = append(h.w.scratch[:0], h.forwarding...)
	if len(host) > 0 {
		r.AddBytes("X-Forwarded-Host", host)
		h.w.scratch = append(append(append(h.w.scratch, `;host="`...), host...), '"')
	}
	r.AddBytes("Forwarded", h.w.scratch)
}

// describeClient makes the values that addForwardedFields adds.
func (h *clientConn) describeClient() {
	h.client, h.scheme = "unknown", "http"
	if h.c.handshake != nil {
		h.scheme = "https"
	}
	node := h.client
	if a := h.c.client.Addr(); a.IsValid() {
		h.client = a.String()
		node = h.client
		if a.Is6() {
			node = `"[` + node + `]"`
		}
	}
	h.forwarding = "for=" + node + ";proto=" + h.scheme
}
