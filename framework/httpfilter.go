package framework

import (
	"errors"
	"slices"
	"time"

	"fwx/framework/completion"
	"fwx/framework/wire/websocket"
)

// HTTPFilter sees the requests of a connection of a listener with protocol "http".
// Connection.AttachHTTPFilter attaches it. It may also implement RequestBodyFilter,
// ResponseFilter, ResponseBodyFilter, MessageFilter and ExchangeEnder, and Detacher to be told
// when the connection ends. Everything for one connection is called on its worker, one call at
// a time.
//
// Each method returns Pass; Hold, after which Exchange.Resume gives another verdict; Deny,
// which answers the request with 403; Fail, which answers it with 500; or an Answer. Once the
// response has begun, every verdict but Pass and Hold breaks it off. For a chunk, Replace and
// Drop do what they do for data filters; the framing is adjusted.
type HTTPFilter interface {
	// Request is called with the head of a request, which it may change by Exchange.Request.
	Request(x *Exchange) Verdict
}

// RequestBodyFilter is an HTTPFilter that sees the bodies of requests.
type RequestBodyFilter interface {
	// RequestBody is called with each chunk, and at the end with an empty one, which may be
	// replaced by what the filter has kept back. The end comes once for each request that
	// Request has passed, also for one without a body, unless the filter has asked to be
	// skipped for bodies that are too long, or has been given a Spool.
	RequestBody(x *Exchange, chunk []byte) Verdict
}

// ResponseFilter is an HTTPFilter that sees the heads of responses. It does not see responses
// that the gateway makes itself.
type ResponseFilter interface {
	// Response is called with the head of a response, which it may change by
	// Exchange.Response.
	Response(x *Exchange) Verdict
}

// ResponseBodyFilter is RequestBodyFilter for responses. If the body is not sent to the client
// (see Exchange.HasBody), the filter is only told of the end, and what it returns for that is
// not sent either.
type ResponseBodyFilter interface {
	ResponseBody(x *Exchange, chunk []byte) Verdict
}

// ExchangeEnder is an HTTPFilter that wants to know when an exchange has ended, for any
// reason. Nothing can be changed at that point. The filter must still resume what it holds.
type ExchangeEnder interface{ EndExchange(x *Exchange) }

// ErrNotHTTP is returned by Connection.AttachHTTPFilter on a listener with another protocol,
// and on a connection whose TLS is passed through.
var ErrNotHTTP = errors.New("the listener's protocol is not http, or TLS is passed through")

// httpLink is an HTTP filter of a connection.
type httpLink = link[HTTPFilter]

// AttachHTTPFilter attaches a filter to the connection's requests, in the order in which data
// filters see its data. It returns ErrBadContext outside an event handler, ErrTerminating if
// the connection has ended, and ErrNotHTTP if HTTP is not spoken on it. If TLS is passed
// through later (Connection.SetTLSMode), the filter sees nothing.
func (c *Connection) AttachHTTPFilter(f HTTPFilter) error {
	switch {
	case !c.handling || c.emulation != nil:
		return ErrBadContext
	case c.Ended():
		return ErrTerminating
	case !c.HTTP():
		return ErrNotHTTP
	case f == nil:
		return errors.New("attach of a nil HTTP filter")
	}
	c.httpFilters = attached(c.httpFilters, f, c.listener.filters[c.event.next])
	return nil
}

// HTTP reports whether HTTP is spoken on the connection: its listener's protocol is "http", it
// is not a secondary connection, and TLS is not passed through.
func (c *Connection) HTTP() bool {
	return c.listener.http != nil && c.origin == nil && (c.handshake == nil || c.handshake.mode != TLSPassThrough)
}

// answer is the response that an Answer verdict carries.
type answer struct {
	status int
	fields []Field
	body   []byte
	file   *completion.Handle // the body, if it is read from a file; nil: body is used
}

// Answer answers a request instead of the server. The status is from 200 to 599. Fields and
// body must not be changed afterwards. The gateway writes Content-Length itself.
func Answer(status int, fields []Field, body []byte) Verdict {
	return Verdict{kind: verdictAnswer, answer: &answer{status: status, fields: fields, body: body}}
}

// filterPass is one pass through the filters in one direction, one filter after the other.
type filterPass struct {
	stage     stage
	next      int
	chunk     []byte
	end       bool   // the body ends with or after the chunk
	made      []byte // what the filter asked about the end has made of the last chunk
	held      bool
	heldSince time.Duration // when the filter answered Hold

	opcode   websocket.Opcode // the opcode of a message
	compress bool             // the message arrived compressed
}

type stage uint8

const (
	askRequest stage = iota
	askRequestBody
	askSpooled
	askResponse
	askResponseBody
	askMessageUp
	askMessageDown
)

func (s stage) body() bool { return s == askRequestBody || s == askResponseBody }

// message reports whether the stage concerns a message of a WebSocket.
func (s stage) message() bool { return s == askMessageUp || s == askMessageDown }

func (s stage) direction() Direction {
	if s == askResponse || s == askResponseBody || s == askMessageDown {
		return Downstream
	}
	return Upstream
}

func (s stage) down() bool { return s.direction() == Downstream }

// keepsChunk reports whether nothing may be received while a filter holds.
func (s stage) keepsChunk() bool { return s == askRequestBody || s == askMessageUp }

// Overflow says what happens to a body that is longer than the limit of WholeBody.
type Overflow uint8

// The kinds of overflow.
const (
	// OverflowRefuse answers 413, or 502 for a response.
	OverflowRefuse Overflow = iota
	// OverflowPass forwards the whole body without showing it to the filter. Filters that
	// have not asked for the whole body see it in pieces.
	OverflowPass
	// OverflowSpool writes the body of a request to disk, as SpoolConfig says, and hands it
	// to the filter's SpooledBody before it is forwarded. For a response it is the same as
	// OverflowRefuse.
	OverflowSpool
)

// stricter returns the overflow that applies if filters disagree: a body that one of them
// wants refused must not be forwarded because of another.
func (o Overflow) stricter(other Overflow) Overflow {
	switch {
	case o == OverflowRefuse || other == OverflowRefuse:
		return OverflowRefuse
	case o == OverflowSpool || other == OverflowSpool:
		return OverflowSpool
	}
	return OverflowPass
}

// gatheredBody is a body that is gathered before the filters see it.
type gatheredBody struct {
	limit    int // 0: the body is not gathered, or no longer
	overflow Overflow
	data     []byte
	requests []bodyRequest
}

// bodyRequest is the request of a filter for a whole body, with another overflow than
// OverflowRefuse.
type bodyRequest struct {
	link     *httpLink
	spool    bool
	informed bool // the filter has been given the spooled body, or the body is forwarded without it
}

// requestOf returns the request of a filter; nil if it has made none.
func (w *gatheredBody) requestOf(l *httpLink) *bodyRequest {
	for i := range w.requests {
		if w.requests[i].link == l {
			return &w.requests[i]
		}
	}
	return nil
}

// informed reports whether a filter is not shown the body in chunks, because it has been given
// the spooled body or is skipped.
func (w *gatheredBody) informed(l *httpLink) bool {
	a := w.requestOf(l)
	return a != nil && a.informed
}

// pass forwards the body in pieces, which only filters see that have not asked for the whole.
func (w *gatheredBody) pass() {
	w.limit = 0
	for i := range w.requests {
		w.requests[i].informed = true
	}
}

// full reports whether the body is being gathered.
func (w *gatheredBody) full() bool { return w.limit > 0 }

// fits reports whether the body stays within the limit with one more part.
func (w *gatheredBody) fits(content []byte) bool { return len(w.data)+len(content) <= w.limit }

// gather adds a part of the body. It returns false if the body is too long.
func (w *gatheredBody) gather(content []byte) bool {
	if !w.fits(content) {
		return false
	}
	w.data = append(w.data, content...)
	return true
}

// WholeBody asks, in Request or Response, for the body of that message to be gathered up to a
// limit of bytes and given to the filters in one chunk; overflow says what happens to a longer
// one. Upstream means the request's body, Downstream the response's. What the filters make of
// it is sent with a Content-Length. If several filters ask, the largest limit applies, and the
// strictest overflow: first OverflowRefuse, then OverflowSpool. Anywhere else WholeBody
// returns an error that wraps ErrBadContext.
func (x *Exchange) WholeBody(dir Direction, limit int, overflow Overflow) error {
	if err := x.may(callWhole, dir); err != nil {
		return err
	}
	w := &x.upGathered
	if dir == Downstream {
		w = &x.downGathered
	}
	if overflow == OverflowSpool && dir == Downstream {
		overflow = OverflowRefuse
	}
	if overflow != OverflowRefuse {
		w.requests = append(w.requests, bodyRequest{link: x.link(x.filterPass(dir)), spool: overflow == OverflowSpool})
	}
	if w.limit > 0 {
		overflow = overflow.stricter(w.overflow)
	}
	w.limit, w.overflow = max(w.limit, limit), overflow
	return nil
}

// filterRequest asks the filters about the request, and then forwards it.
func (x *Exchange) filterRequest() { x.startPass(&x.up, filterPass{stage: askRequest}) }

// filterRequestBody asks the filters about a chunk of the request's body.
func (x *Exchange) filterRequestBody(content []byte) {
	if w := &x.upGathered; w.full() {
		x.gatherUp(w, content)
		return
	}
	x.startPass(&x.up, filterPass{stage: askRequestBody, chunk: content})
}

func (x *Exchange) gatherUp(w *gatheredBody, content []byte) {
	switch {
	case x.spool != nil:
		x.spool.take(content)
	case w.fits(content) && !x.claim(len(content)):
		x.fail(503, ByLimit, errMemory.Error())
	case w.gather(content):
	case w.overflow == OverflowRefuse:
		x.fail(413, ByLimit, "the body is longer than a filter accepts")
	case w.overflow == OverflowSpool:
		gathered := w.data
		w.data = nil
		x.beginSpool(gathered, content)
	default: // a server is connected now; what was gathered goes first
		w.pass()
		w.data = append(w.data, content...)
		x.requestState = requestHeld
		x.forward()
	}
}

// endRequestBody tells the filters that the request's body has ended.
func (x *Exchange) endRequestBody() {
	switch w := &x.upGathered; {
	case x.spool != nil:
		x.spool.end()
		return
	case w.full():
		x.startPass(&x.up, filterPass{stage: askRequestBody, chunk: w.data, end: true})
		return
	}
	x.startPass(&x.up, filterPass{stage: askRequestBody, end: true})
}

// filterResponse asks the filters about the response, and then sends it to the client.
func (x *Exchange) filterResponse() { x.startPass(&x.down, filterPass{stage: askResponse}) }

// filterResponseBody asks the filters about a chunk of the response's body.
func (x *Exchange) filterResponseBody(content []byte) {
	if w := &x.downGathered; w.full() {
		x.gatherDown(w, content)
		return
	}
	x.startPass(&x.down, filterPass{stage: askResponseBody, chunk: content})
}

func (x *Exchange) gatherDown(w *gatheredBody, content []byte) {
	switch {
	case w.fits(content) && !x.claim(len(content)):
		x.fail(503, ByLimit, errMemory.Error())
	case w.gather(content):
	case w.overflow == OverflowRefuse:
		x.fail(502, ByLimit, "the body is longer than a filter accepts")
	default:
		w.pass()
		x.passHead()
		gathered := append(w.data, content...)
		w.data = nil
		x.startPass(&x.down, filterPass{stage: askResponseBody, chunk: gathered})
	}
}

// endResponseBody tells the filters that the response's body has ended.
func (x *Exchange) endResponseBody() {
	if w := &x.downGathered; w.full() {
		x.startPass(&x.down, filterPass{stage: askResponseBody, chunk: w.data, end: true})
		return
	}
	x.startPass(&x.down, filterPass{stage: askResponseBody, end: true})
}

// startPass begins a pass through the filters.
func (x *Exchange) startPass(a *filterPass, begin filterPass) {
	*a = begin
	x.runPass(a)
}

// runPass asks the filters that have not been asked yet. After the last one it continues with
// the message.
func (x *Exchange) runPass(a *filterPass) {
	for a.next < len(x.h.filters) {
		l := x.link(a)
		v := x.ask(a, l)
		if v.kind == verdictHold {
			x.hold(a)
			return
		}
		if !x.applyVerdict(a, l, v) {
			return
		}
	}
	x.afterFilters(a)
}

// link returns the filter to ask next: responses pass the filters in reverse order.
func (x *Exchange) link(a *filterPass) *httpLink {
	if a.stage.down() {
		return &x.h.filters[len(x.h.filters)-1-a.next]
	}
	return &x.h.filters[a.next]
}

// hold suspends the pass until the filter resumes.
func (x *Exchange) hold(a *filterPass) {
	a.held, a.heldSince = true, x.h.c.hold()
	if a.stage.keepsChunk() {
		x.h.chunkHeld = true
	}
	if !x.websocket.isLingering() {
		x.h.await(waitFilter)
	}
}

// Resume gives the verdict that a filter deferred by Hold: on the request or its body if the
// direction is Upstream, otherwise on the response or its body. It returns ErrBadContext if
// nothing is held or the verdict is another Hold, and ErrTerminating if the exchange has
// ended.
func (x *Exchange) Resume(dir Direction, v Verdict) error {
	a := x.filterPass(dir)
	if !a.held || v.kind == verdictHold {
		return ErrBadContext
	}
	h := x.h
	a.held = false
	h.c.unhold()
	h.c.active = h.w.worker.Now()
	if a.stage.keepsChunk() {
		h.chunkHeld = false
	}
	if x.done {
		v.answer.dispose()
		if x.kept != nil {
			x.kept.Release()
			x.kept = nil
		}
		h.resumeFlow()
		return ErrTerminating
	}
	switch {
	case x.websocket.isLingering():
	case x.tunnel:
		h.await(waitTunnel)
	case x.requestState == requestBody:
		h.await(waitBody)
	default:
		h.await(waitServer)
	}
	if x.applyVerdict(a, x.link(a), v) {
		x.runPass(a)
	}
	if !x.done {
		x.resumed(a)
	}
	h.proceed()
	return nil
}

// resumed continues with bodies that ended while a filter held their last chunk.
func (x *Exchange) resumed(a *filterPass) {
	if a.held {
		return
	}
	switch {
	case x.spool != nil:
		x.spool.proceed()
	case a.stage == askRequestBody && !a.end && x.requestState == requestBody && x.requestBody.Done() && !x.upGathered.full():
		x.endRequestBody()
	case a.stage == askResponseBody && !a.end && x.responseState == responseContent && x.responseBody.Done() && !x.downGathered.full():
		x.endResponseBody()
	}
	if !x.done {
		x.receive()
	}
}

// ask calls a filter; a panic in it makes the exchange fail.
func (x *Exchange) ask(a *filterPass, l *httpLink) (v Verdict) {
	defer func() {
		if r := recover(); r != nil {
			x.h.c.panicked(l.owner.config.Name, r)
			v = Fail("it panicked")
		}
	}()
	switch a.stage {
	case askRequest:
		return l.filter.Request(x)
	case askResponse:
		if f, ok := l.filter.(ResponseFilter); ok {
			return f.Response(x)
		}
	case askRequestBody:
		if f, ok := l.filter.(RequestBodyFilter); ok && !x.upGathered.informed(l) {
			return f.RequestBody(x, a.chunk)
		}
	case askSpooled:
		return x.askSpooled(l)
	case askResponseBody:
		if f, ok := l.filter.(ResponseBodyFilter); ok && !x.downGathered.informed(l) {
			return f.ResponseBody(x, a.chunk)
		}
	case askMessageUp, askMessageDown:
		return x.askMessage(a, l.filter)
	}
	return Pass
}

// applyVerdict carries out a verdict. It returns false if the pass does not continue.
func (x *Exchange) applyVerdict(a *filterPass, l *httpLink, v Verdict) bool {
	name, empty := l.owner.config.Name, len(a.chunk) == 0
	switch {
	case x.done:
		v.answer.dispose()
		return false
	case a.stage.message():
		return x.applyMessageVerdict(a, name, v)
	case v.kind == verdictPass:
	case a.stage == askSpooled && (v.kind == verdictReplace || v.kind == verdictDrop):
		x.replaceSpooled(v.data)
		return false
	case v.kind == verdictReplace && a.stage.body():
		a.chunk = v.data
	case v.kind == verdictDrop && a.stage.body():
		a.chunk = nil
	case v.kind == verdictDeny:
		x.fail(403, ByFilter, "filter "+name+": "+v.reason)
		return false
	case v.kind == verdictAnswer:
		x.answered(v.answer, name)
		return false
	case v.kind == verdictFail:
		x.h.c.failedBy(name)
		x.fail(500, ByFilter, "filter "+name+": "+v.reason)
		return false
	default:
		x.h.c.failedBy(name)
		x.fail(500, ByFilter, "filter "+name+": verdict "+v.String()+" does not suit a head")
		return false
	}
	switch {
	case !a.stage.body() || !a.end && len(a.chunk) > 0:
		a.next++
	case !a.end: // nothing is left for the other filters
		a.next = len(x.h.filters)
	default:
		a.advance(empty)
	}
	return true
}

// advance continues with the next filter at the end of a body. A filter that was given the
// last chunk, which may be what earlier filters had kept back, is told of the end first.
func (a *filterPass) advance(told bool) {
	if !told {
		a.made, a.chunk = a.chunk, nil
		return
	}
	if len(a.chunk) > 0 {
		a.chunk = append(slices.Clip(a.made), a.chunk...)
	} else {
		a.chunk = a.made
	}
	a.made = nil
	a.next++
}

// answered answers the request with a filter's Answer.
func (x *Exchange) answered(an *answer, filter string) {
	switch {
	case x.may(callAnswer, Downstream) != nil:
		an.dispose()
		x.fail(500, ByFilter, "filter "+filter+": the response has begun")
	case an.status < 200 || an.status > 599 || !validFields(an.fields):
		an.dispose()
		x.h.c.failedBy(filter)
		x.fail(500, ByFilter, "filter "+filter+": its answer cannot be sent")
	case an.file != nil:
		x.respondFile(an)
	default:
		x.respond(an.status, an.fields, an.body)
	}
}

// afterFilters continues after the last filter.
func (x *Exchange) afterFilters(a *filterPass) {
	switch a.stage {
	case askRequest:
		x.passRequest()
	case askRequestBody:
		x.passRequestBody(a)
	case askSpooled:
		x.passSpooled()
	case askResponse:
		x.passResponse()
	case askResponseBody:
		x.passResponseBody(a)
	case askMessageUp, askMessageDown:
		x.passMessage(a)
	}
}

func (x *Exchange) passRequest() {
	switch w := &x.upGathered; {
	case x.requestBody.Done() && x.changesRequestBody(): // the filters are told of the end, and may add a body
		w.limit = max(w.limit, 1)
		x.requestState = requestBody
		x.endRequestBody()
	case w.full() && !x.requestBody.Done():
		x.awaitWhole()
	default:
		x.forward()
	}
}

// awaitWhole receives the whole body of the request before it is forwarded.
func (x *Exchange) awaitWhole() {
	if x.request.Continue() {
		x.h.write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	}
	x.request.Remove("Expect")
	x.requestState = requestBody
	x.h.await(waitBody)
}

func (x *Exchange) passRequestBody(a *filterPass) {
	if w := &x.upGathered; w.full() {
		w.data = a.chunk
		x.requestState = requestHeld
		x.forward()
		return
	}
	x.passUp(a.chunk)
	if a.end {
		x.endRequest()
	}
}

func (x *Exchange) passResponse() {
	if x.contentless() {
		x.discardResponse()
	}
	switch w := &x.downGathered; {
	case !x.contentless() && !x.responseBody.Done():
		if w.full() {
			x.responseState = responseContent
		} else {
			x.passHead()
		}
	case x.changesResponseBody(): // the filters are told of the end, and may add a body
		w.limit = max(w.limit, 1)
		x.responseState = responseContent
		x.endResponseBody()
	default:
		w.limit = 0
		x.passHead()
		x.endResponse()
	}
}

func (x *Exchange) passResponseBody(a *filterPass) {
	if w := &x.downGathered; w.full() {
		w.data = a.chunk
		x.passHead()
		if !x.contentless() {
			x.passDown(w.data)
		}
		x.endResponse()
		return
	}
	if len(a.chunk) > 0 {
		x.passDown(a.chunk)
	}
	if a.end {
		x.endResponse()
	}
}

// endFilters tells the filters that the exchange has ended.
func (x *Exchange) endFilters() {
	for i := range x.h.filters {
		l := &x.h.filters[i]
		if e, ok := l.filter.(ExchangeEnder); ok {
			x.h.c.guard(l.owner, func() { e.EndExchange(x) })
		}
	}
}

// changesRequestBody reports whether a filter may change the length of the request's body.
func (x *Exchange) changesRequestBody() bool {
	for i := range x.h.filters {
		l := &x.h.filters[i]
		if _, ok := l.filter.(RequestBodyFilter); ok && !x.upGathered.informed(l) {
			return true
		}
	}
	return false
}

// changesResponseBody is changesRequestBody for the response.
func (x *Exchange) changesResponseBody() bool {
	for i := range x.h.filters {
		l := &x.h.filters[i]
		if _, ok := l.filter.(ResponseBodyFilter); ok && !x.downGathered.informed(l) {
			return true
		}
	}
	return false
}

// appendHolds appends what filters hold of the exchange in progress.
func (h *clientConn) appendHolds(holds []HoldInfo) []HoldInfo {
	if h.x == nil {
		return holds
	}
	for _, a := range []*filterPass{&h.x.up, &h.x.down} {
		if a.held {
			holds = append(holds, h.c.heldBy(h.x.link(a).owner, a.stage.String(), a.heldSince))
		}
	}
	return holds
}

// String names what is asked about, for operators.
func (s stage) String() string {
	return [...]string{"request", "request body", "spooled body", "response", "response body", "message", "message"}[s]
}

// ID returns the request's id, which the client, the server and the log are told.
func (x *Exchange) ID() string { return string(x.id[:]) }

// EndedBy returns who has ended the exchange, if its response is not complete or an error that the
// gateway has made.
func (x *Exchange) EndedBy() EndedBy { return x.by }

// Reason says why it was ended then.
func (x *Exchange) Reason() string { return x.reason }

// Serial tells one exchange from another that has the same memory.
func (x *Exchange) Serial() uint64 { return x.serial }

// Connection returns the client's connection.
func (x *Exchange) Connection() *Connection { return x.h.c }

// Done reports whether the exchange has ended.
func (x *Exchange) Done() bool { return x.done }

// Server returns the server's address; the zero Address before one is chosen.
func (x *Exchange) Server() string {
	if x.target.address == (completion.Address{}) {
		return ""
	}
	return x.target.address.String()
}

// Upstream returns the name of the upstream that the request goes to; empty while that is not
// decided.
func (x *Exchange) Upstream() string {
	if x.upstream == nil {
		return ""
	}
	return x.upstream.config.Name
}

// SetUpstream sends the request to an upstream, overriding its route. It returns an error that
// wraps ErrBadContext if the request has been forwarded, and an *UnknownNameError if the name
// is not configured.
func (x *Exchange) SetUpstream(name string) error {
	if err := x.may(callRoute, Upstream); err != nil {
		return err
	}
	g := x.h.c.listener.generation.Load()
	i := g.config.upstream(name)
	if i < 0 {
		known := make(map[string]bool)
		for _, u := range g.config.Upstreams {
			known[u.Name] = true
		}
		return &UnknownNameError{What: "upstream", Name: name, Known: sortedKeys(known)}
	}
	x.upstream = g.upstreams[i]
	return nil
}

// Value returns what was stored by SetValue under a key.
func (x *Exchange) Value(key any) any { return x.values.get(key) }

// SetValue stores a value under a key, a filter's own object for instance, for as long as
// the exchange lasts.
func (x *Exchange) SetValue(key, v any) { x.values.set(key, v) }
