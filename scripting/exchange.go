package scripting

import (
	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
)

// httpExchange is a request and its response as a script sees them.
type httpExchange struct {
	conn     *conn
	x        *framework.Exchange
	serial   uint64     // of x, which is used again for other requests
	messages [2]message // the request and the response
	flows    [2]messageFlow
}

// message is a request or a response as a script sees it. Its objects are parts of the exchange, and so allocated with it.
type message struct {
	exchange *httpExchange
	dir      framework.Direction
	object   lua.LUserData
	headers  messageHeaders
	trailers *messageHeaders // made when they are first asked for
}

// messageFlow is one direction of an exchange: the handlers for one message.
type messageFlow struct {
	exchange *httpExchange
	dir      framework.Direction
	handling
	spooled spooled
}

// exchangeOf returns the script's object for an exchange.
func (c *conn) exchangeOf(x *framework.Exchange) *httpExchange {
	if e, ok := x.Value(c.state).(*httpExchange); ok {
		return e
	}
	e := &httpExchange{conn: c, x: x, serial: x.Serial()}
	for dir := range e.flows {
		e.flows[dir].exchange, e.flows[dir].dir = e, framework.Direction(dir)
		m := &e.messages[dir]
		m.exchange, m.dir, m.headers.message = e, framework.Direction(dir), m
	}
	x.SetValue(c.state, e)
	return e
}

// over reports whether the exchange has ended: x is that of another then.
func (e *httpExchange) over() bool { return e.x.Serial() != e.serial || e.x.Done() }

func (e *httpExchange) requestObject() lua.LValue {
	m := &e.messages[framework.Upstream]
	return e.conn.state.objectAt(&m.object, e.conn.state.types.request, m)
}

func (e *httpExchange) responseObject() lua.LValue {
	m := &e.messages[framework.Downstream]
	return e.conn.state.objectAt(&m.object, e.conn.state.types.response, m)
}

// attachHTTP attaches the handlers for HTTP to the connection, if it speaks that and
// there are any.
func (c *conn) attachHTTP() error {
	h := &c.state.handlers
	if !h.watchesHTTP() || !c.connection.HTTP() {
		return nil
	}
	if h.message != nil {
		if err := c.connection.AttachHTTPFilter((*messageFilter)(c)); err != nil {
			return err
		}
	}
	heads := (*httpFilter)(c)
	var filter framework.HTTPFilter = heads
	switch {
	case h.requestBody != nil && h.responseBody != nil:
		filter = bothBodies{requestBodies{heads}}
	case h.requestBody != nil:
		filter = requestBodies{heads}
	case h.responseBody != nil:
		filter = responseBodies{heads}
	}
	return c.connection.AttachHTTPFilter(filter)
}

// httpFilter is a connection's HTTP filter. Those around it see bodies, too: the
// framework goes by the methods that there are.
type (
	httpFilter     conn
	requestBodies  struct{ *httpFilter }
	responseBodies struct{ *httpFilter }
	bothBodies     struct{ requestBodies }
)

// Request calls on_request.
func (f *httpFilter) Request(x *framework.Exchange) framework.Verdict {
	c := (*conn)(f)
	fn := c.state.handlers.request
	if fn == nil {
		return framework.Pass
	}
	e := c.exchangeOf(x)
	return e.flows[framework.Upstream].call(handlerRequest, fn, c.object, e.requestObject())
}

// Response calls on_response.
func (f *httpFilter) Response(x *framework.Exchange) framework.Verdict {
	c := (*conn)(f)
	fn := c.state.handlers.response
	if fn == nil {
		return framework.Pass
	}
	e := c.exchangeOf(x)
	return e.flows[framework.Downstream].call(handlerResponse, fn, c.object, e.requestObject(), e.responseObject())
}

// Detach is told that the connection has ended.
func (f *httpFilter) Detach() { (*conn)(f).detach() }

// RequestBody calls on_request_body.
func (b requestBodies) RequestBody(x *framework.Exchange, data []byte) framework.Verdict {
	c := (*conn)(b.httpFilter)
	e := c.exchangeOf(x)
	f := &e.flows[framework.Upstream]
	f.show(data)
	return f.call(handlerRequestBody, c.state.handlers.requestBody, c.object, e.requestObject(), f.chunk.object)
}

// SpooledBody calls on_request_body with a body that is on the disk.
func (b requestBodies) SpooledBody(x *framework.Exchange, body *framework.Spool) framework.Verdict {
	c := (*conn)(b.httpFilter)
	e := c.exchangeOf(x)
	f := &e.flows[framework.Upstream]
	f.spooled = spooled{body: body}
	f.spooled.object = c.state.object(c.state.types.spooled, &f.spooled)
	return f.call(handlerRequestBody, c.state.handlers.requestBody, c.object, e.requestObject(), f.spooled.object)
}

// ResponseBody calls on_response_body.
func (b responseBodies) ResponseBody(x *framework.Exchange, data []byte) framework.Verdict {
	return b.responseBody(x, data)
}

// ResponseBody calls on_response_body.
func (b bothBodies) ResponseBody(x *framework.Exchange, data []byte) framework.Verdict {
	return b.responseBody(x, data)
}

func (f *httpFilter) responseBody(x *framework.Exchange, data []byte) framework.Verdict {
	c := (*conn)(f)
	e := c.exchangeOf(x)
	flow := &e.flows[framework.Downstream]
	flow.show(data)
	return flow.call(handlerResponseBody, c.state.handlers.responseBody,
		c.object, e.requestObject(), e.responseObject(), flow.chunk.object)
}

// messageFilter is a connection's filter for the messages of a WebSocket, apart from the
// other: only with one do they have to be looked at.
type messageFilter conn

// Request lets all requests pass.
func (f *messageFilter) Request(*framework.Exchange) framework.Verdict { return framework.Pass }

// The kinds of messages.
const (
	kindText   = "text"
	kindBinary = "binary"
)

// Message calls on_message.
func (f *messageFilter) Message(x *framework.Exchange, dir framework.Direction, m framework.Message) framework.Verdict {
	c := (*conn)(f)
	flow := &c.exchangeOf(x).flows[dir]
	flow.show(m.Data)
	kind := kindBinary
	if m.Text {
		kind = kindText
	}
	return flow.call(handlerMessage, c.state.handlers.message, c.object, flow.chunk.object, c.state.direction[dir], lua.LString(kind))
}

// show makes the chunk that a handler is given.
func (f *messageFlow) show(data []byte) {
	if f.chunk.object == nil {
		f.chunk.object = f.exchange.conn.state.object(f.exchange.conn.state.types.chunk, &f.chunk)
	}
	f.chunk.data, f.chunk.valid = data, true
}

// call calls a handler and returns its verdict, or Hold.
func (f *messageFlow) call(handler string, fn *lua.LFunction, args ...lua.LValue) framework.Verdict {
	c := f.exchange.conn
	s := c.state
	if !s.breaker.admits(s.worker.Now()) {
		f.chunk.data, f.chunk.valid = nil, false
		return c.onError(s.breaker.reason())
	}
	return f.run(c, f, handler, fn, args)
}

// taskEnded gives the verdict.
func (f *messageFlow) taskEnded(result lua.LValue, err error) {
	v := f.judge(result, err)
	f.spooled.body = nil
	if f.ended(f.exchange.conn.state, v) {
		_ = f.exchange.x.Resume(f.dir, v) // it is held
	}
}

// judge turns what the handler returned into a verdict.
func (f *messageFlow) judge(result lua.LValue, err error) framework.Verdict {
	v, ok := f.verdictOf(result)
	if err == nil && !ok {
		wants := "nil, fwx.deny(...) or fwx.respond(...)"
		switch {
		case f.handler == handlerMessage:
			wants = "nil, a string, fwx.drop or fwx.deny(...)"
		case f.body():
			wants = "nil, a string, fwx.drop, fwx.deny(...) or fwx.respond(...)"
		}
		err = wrongResult(f.handler, result, wants)
	}
	if err != nil {
		return f.exchange.conn.failed(f.handler, err)
	}
	f.exchange.conn.state.succeeded()
	return v
}

// body reports whether it is a handler for bodies or messages that was called.
func (f *messageFlow) body() bool {
	return f.handler == handlerRequestBody || f.handler == handlerResponseBody || f.handler == handlerMessage
}

// verdictOf returns the verdict that a result means; false if it means none.
func (f *messageFlow) verdictOf(result lua.LValue) (framework.Verdict, bool) {
	if result == lua.LNil {
		return framework.Pass, true
	}
	if text, ok := result.(lua.LString); ok {
		return framework.Replace(bytesOf(string(text))), f.body()
	}
	switch v := userValue(result).(type) {
	case *chunk:
		return framework.Pass, f.body() && v == &f.chunk
	case *spooled:
		return framework.Pass, v == &f.spooled
	case *denial:
		return framework.Deny(v.reason), true
	case *reply:
		if f.handler != handlerMessage {
			return v.verdict(), true
		}
	case drop:
		return framework.Drop, f.body()
	}
	return framework.Verdict{}, false
}

// reply is what fwx.respond returns.
type reply struct {
	status int
	fields []framework.Field
	body   []byte
	file   *file // instead of body; nil: there is none
}

func (r *reply) verdict() framework.Verdict {
	if r.file == nil {
		return framework.Answer(r.status, r.fields, r.body)
	}
	if err := r.file.closed(); err != nil {
		return framework.Fail("fwx.respond: " + err.Error())
	}
	return framework.AnswerFile(r.status, r.fields, r.file.handOver())
}
