package scripting

import (
	"bytes"
	"strings"
	"unsafe"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
)

// smallChunk is up to how many bytes a chunk is moved out of its buffer while its handler
// waits: the buffers of a worker are fewer than its connections may be.
const smallChunk = 4 << 10

// flow is one direction of a connection as a script sees it.
type flow struct {
	conn   *conn
	dir    framework.Direction
	frames []*frames
	handling
}

// handling is a handler for a chunk, or a message, while it runs.
type handling struct {
	chunk   chunk
	handler string
	running bool // it has not returned
	held    bool // and the framework has been told to wait
}

// run calls the handler and returns its verdict, or Hold.
func (h *handling) run(c *conn, end ending, handler string, fn *lua.LFunction, args []lua.LValue) framework.Verdict {
	h.handler, h.running = handler, true
	c.state.start(task{name: handler, conn: c, end: end}, fn, args...)
	if h.running {
		h.held = true
		return framework.Hold
	}
	return c.state.verdict
}

// ended notes the verdict of the handler, and reports whether the framework waits for it.
func (h *handling) ended(s *state, v framework.Verdict) (waits bool) {
	s.verdict = v
	h.chunk.data, h.chunk.valid = nil, false
	waits = h.held
	h.running, h.held = false, false
	return waits
}

// flow returns a direction of the connection.
func (c *conn) flow(dir framework.Direction) *flow {
	if c.flows == nil {
		c.makeFlows()
	}
	return &c.flows[dir]
}

func (c *conn) makeFlows() {
	c.flows = new([2]flow)
	for dir := range c.flows {
		f := &c.flows[dir]
		f.conn, f.dir = c, framework.Direction(dir)
		f.chunk.object = &lua.LUserData{Value: &f.chunk, Metatable: c.state.types.chunk, Env: c.state.L.Env}
	}
}

// dataFilter is a connection's data filter.
type dataFilter conn

// Data calls on_data.
func (d *dataFilter) Data(_ *framework.Connection, dir framework.Direction, data []byte) framework.Verdict {
	if d.state.handlers.data == nil {
		return framework.Pass
	}
	f := (*conn)(d).flow(dir)
	f.chunk.data, f.chunk.valid = data, true
	return f.call(handlerData, d.state.handlers.data, d.object, f.chunk.object, d.state.direction[dir])
}

// End calls on_end, and before it the functions of framers.
func (d *dataFilter) End(_ *framework.Connection, dir framework.Direction) framework.Verdict {
	f := (*conn)(d).flow(dir)
	fn := d.state.handlers.end
	if len(f.frames) > 0 {
		fn = d.state.streamEnded
	}
	if fn == nil {
		return framework.Pass
	}
	return f.call(handlerEnd, fn, d.object, d.state.direction[dir])
}

// Detach is told that the connection has ended.
func (d *dataFilter) Detach() { (*conn)(d).detach() }

// call calls a handler and returns its verdict, or Hold.
func (f *flow) call(handler string, fn *lua.LFunction, args ...lua.LValue) framework.Verdict {
	c, s := f.conn, f.conn.state
	for _, fs := range f.frames {
		fs.note()
	}
	if !s.breaker.admits(s.worker.Now()) {
		v := f.letGo(c.onError(s.breaker.reason()))
		f.chunk.data, f.chunk.valid = nil, false
		return v
	}
	v := f.run(c, f, handler, fn, args)
	if f.held && len(f.chunk.data) <= smallChunk {
		f.chunk.data = c.connection.KeepChunk(f.dir)
	}
	return v
}

// shows reports whether a chunk is that of the on_data which the fiber runs.
func (f *fiber) shows(c *chunk) bool {
	flow, ok := f.task.end.(*flow)
	return ok && c == &flow.chunk
}

// taskEnded gives the verdict.
func (f *flow) taskEnded(result lua.LValue, err error) {
	v := f.judge(result, err)
	if f.ended(f.conn.state, v) {
		_ = f.conn.connection.Resume(f.dir, v) // it is held
	}
}

// judge turns what the handler returned into a verdict.
func (f *flow) judge(result lua.LValue, err error) framework.Verdict {
	v, ok := f.verdictOf(result)
	if err == nil && !ok {
		err = wrongResult(f.handler, result, "nil, a string, fwx.drop or fwx.deny(...)")
	}
	if err != nil {
		return f.letGo(f.conn.failed(f.handler, err))
	}
	f.conn.state.succeeded()
	return v
}

// verdictOf returns the verdict that a result means; false if it means none.
func (f *flow) verdictOf(result lua.LValue) (framework.Verdict, bool) {
	if result == lua.LNil {
		return framework.Pass, true
	}
	if text, ok := result.(lua.LString); ok {
		return framework.Replace(bytesOf(string(text))), true
	}
	switch v := userValue(result).(type) {
	case *chunk:
		switch {
		case !v.valid:
		case v == &f.chunk:
			return framework.Pass, true
		default:
			return framework.Replace(bytes.Clone(v.data)), true
		}
	case *denial:
		return framework.Deny(v.reason), true
	case drop:
		return framework.Drop, true
	}
	return framework.Verdict{}, false
}

// letGo returns the verdict of a handler that has failed, or was not called. If the
// connection goes on, what framers have kept does so too.
func (f *flow) letGo(v framework.Verdict) framework.Verdict {
	if f.conn.state.filter.settings.OnError != OnErrorPass {
		return v
	}
	var kept []byte
	for _, fs := range f.frames {
		kept = append(kept, fs.abandon()...)
	}
	if len(kept) == 0 {
		return v
	}
	return framework.Replace(append(kept, f.chunk.data...))
}

// bytesOf returns the bytes of a string without copying them. Nobody may change
// them: they are sent, or written to a file.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// textOf returns bytes that nobody changes any more as a string, without copying unless
// that would keep much more memory than the string is long.
func textOf(b []byte) lua.LString {
	if pins(len(b), cap(b)) {
		return lua.LString(b)
	}
	return lua.LString(unsafe.String(unsafe.SliceData(b), len(b)))
}

// partOf returns a part of a string, likewise.
func partOf(whole string, from, to int) lua.LString {
	part := whole[from:to]
	if pins(len(part), len(whole)) {
		part = strings.Clone(part)
	}
	return lua.LString(part)
}

// pins reports whether a part of so many bytes would keep much more memory than it has
// itself, which the count of what a script holds does not see.
func pins(part, whole int) bool {
	const spare = 64
	return whole-part > part+spare
}
