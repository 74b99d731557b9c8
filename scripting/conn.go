package scripting

import (
	"fmt"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
	"fwx/framework/completion"
)

// conn is a connection as a script sees it.
type conn struct {
	state      *state
	connection *framework.Connection
	object     *lua.LUserData // itself in Lua
	client     lua.LValue     // made when first asked for, as the others
	session    lua.LValue
	ctx        *lua.LTable
	flows      *[2]flow // nil: no handler has seen data
	resources  map[resource]struct{}
	sockets    int      // open, or being connected, by its handlers
	waiting    []*fiber // of its handlers
	ended      bool     // on_close has been called
	event      event
}

// connOf returns the connection's object, which lasts from the first event on.
func (s *state) connOf(c *framework.Connection) *conn {
	if v, ok := c.Value(s).(*conn); ok {
		return v
	}
	v := &conn{state: s, connection: c}
	v.object = &lua.LUserData{Value: v, Metatable: s.types.conn, Env: s.L.Env}
	c.SetValue(s, v)
	s.conns[v] = struct{}{}
	return v
}

// over reports whether the connection has ended.
func (c *conn) over() bool { return c.ended || c.connection.Ended() }

func (c *conn) track(r resource) {
	if c.resources == nil {
		c.resources = make(map[resource]struct{})
	}
	c.resources[r] = struct{}{}
}

// connecting calls on_connect.
func (s *state) connecting(ev *framework.Event) framework.Verdict {
	c := s.connOf(ev.Connection)
	if s.handlers.watchesData() {
		if err := c.connection.AttachDataFilter((*dataFilter)(c)); err != nil {
			return framework.Fail(err.Error())
		}
	}
	if err := c.attachHTTP(); err != nil {
		return framework.Fail(err.Error())
	}
	if s.handlers.connect == nil {
		return framework.Pass
	}
	if !s.breaker.admits(s.worker.Now()) {
		return c.onError(s.breaker.reason())
	}
	return c.event.call(c, ev, handlerConnect, s.handlers.connect, c.object)
}

// terminating calls on_close.
func (s *state) terminating(ev *framework.Event) framework.Verdict {
	if s.handlers.close == nil {
		if c, ok := ev.Connection.Value(s).(*conn); ok {
			c.end()
		}
		return framework.Pass
	}
	c := s.connOf(ev.Connection)
	return c.event.call(c, ev, handlerClose, s.handlers.close, c.object)
}

// end closes what the handlers of a connection have left open.
func (c *conn) end() {
	c.ended = true
	delete(c.state.conns, c)
	for r := range c.resources {
		r.release()
	}
}

// detach ends the handlers that wait: their connection is gone.
func (c *conn) detach() {
	for _, f := range c.waiting {
		if f.task.name != handlerClose {
			f.abort(errConnectionEnded)
		}
	}
}

// event is an on_connect or on_close that runs.
type event struct {
	conn    *conn
	event   *framework.Event
	handler string
	running bool              // the handler has not returned
	held    bool              // and the framework has been told to wait
	limit   *completion.Timer // of an on_close
}

// call calls a handler and returns its verdict, or Hold.
func (e *event) call(c *conn, ev *framework.Event, handler string, fn *lua.LFunction, args ...lua.LValue) framework.Verdict {
	*e = event{conn: c, event: ev, handler: handler, running: true}
	c.state.start(task{name: handler, conn: c, end: e}, fn, args...)
	if !e.running {
		return c.state.verdict
	}
	e.held = true
	if handler == handlerClose {
		e.limit = c.state.worker.AfterFunc(c.state.filter.closeLimit, e.expire)
	}
	return framework.Hold
}

// taskEnded gives the verdict.
func (e *event) taskEnded(result lua.LValue, err error) {
	if !e.running { // it took too long, and the verdict has been given
		return
	}
	e.give(e.conn.eventVerdict(e.handler, result, err))
}

func (e *event) give(v framework.Verdict) {
	e.running, e.conn.state.verdict = false, v
	if e.limit != nil {
		e.limit.Stop()
	}
	if e.handler == handlerClose {
		e.conn.end()
	}
	if e.held {
		e.held = false
		_ = e.event.Resume(v) // it is held
	}
}

// expire ends an on_close that takes too long. The connection does not wait for
// it any longer, whatever becomes of what it waits for.
func (e *event) expire() {
	c := e.conn
	c.state.logError(e.handler, c.connection.ID(), errTooLong)
	for _, f := range c.waiting {
		f.abort(errTooLong)
	}
	e.give(framework.Pass)
}

// eventVerdict turns what a handler returned into a verdict.
func (c *conn) eventVerdict(handler string, result lua.LValue, err error) framework.Verdict {
	if err != nil {
		return c.failed(handler, err)
	}
	d, denies := userValue(result).(*denial)
	switch {
	case handler == handlerClose:
		if result != lua.LNil {
			return c.failed(handler, wrongResult(handler, result, "nil"))
		}
		return framework.Pass
	case result == lua.LNil:
		c.state.succeeded()
		return framework.Pass
	case denies:
		c.state.succeeded()
		return framework.Deny(d.reason)
	}
	return c.failed(handler, wrongResult(handler, result, "nil or fwx.deny(...)"))
}

// failed logs the failure of a handler and returns the verdict that the settings
// ask for.
func (c *conn) failed(handler string, err error) framework.Verdict {
	c.state.logError(handler, c.connection.ID(), err)
	switch {
	case handler == handlerClose:
	case c.over(): // which is why it failed, as a rule
		c.state.breaker.trying = false
	default:
		c.state.stumbled()
	}
	return c.onError(fmt.Sprintf("%s: %s", handler, messageOf(err)))
}

// onError returns the verdict of the setting on_error.
func (c *conn) onError(reason string) framework.Verdict {
	if c.state.filter.settings.OnError == OnErrorPass {
		return framework.Pass
	}
	return framework.Fail(reason)
}

// denial is what fwx.deny returns.
type denial struct{ reason string }

func (d *denial) count(c *census) { c.text(d.reason) }

// drop is the value of fwx.drop.
type drop struct{}

// userValue returns what is in a userdata, else nil.
func userValue(v lua.LValue) any {
	if ud, ok := v.(*lua.LUserData); ok {
		return ud.Value
	}
	return nil
}
