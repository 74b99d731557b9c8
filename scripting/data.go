package scripting

import (
	"unsafe"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
)

// flow is one direction of a connection as a script sees it.
type flow struct {
	conn    *conn
	dir     framework.Direction
	chunk   chunk
	running bool // on_data has not returned
	held    bool // and the framework has been told to wait
	verdict framework.Verdict
}

func (f *flow) init(c *conn, dir framework.Direction) {
	f.conn, f.dir = c, dir
	f.chunk.object = &lua.LUserData{Value: &f.chunk, Metatable: c.state.types.chunk, Env: c.state.L.Env}
}

// dataFilter is a connection's data filter.
type dataFilter conn

// Data calls on_data.
func (d *dataFilter) Data(_ *framework.Connection, dir framework.Direction, data []byte) framework.Verdict {
	return d.flows[dir].call(data)
}

// Detach is told that the connection has ended.
func (d *dataFilter) Detach() { (*conn)(d).detach() }

// call calls on_data and returns its verdict, or Hold.
func (f *flow) call(data []byte) framework.Verdict {
	c, s := f.conn, f.conn.state
	f.chunk.data, f.chunk.valid = data, true
	f.running = true
	s.start(task{
		name: handlerData, fn: s.handlers.data, conn: c, end: f,
		args: [5]lua.LValue{c.object, f.chunk.object, s.direction[f.dir]}, nargs: 3,
	})
	if f.running {
		f.held = true
		return framework.Hold
	}
	return f.verdict
}

// taskEnded gives the verdict.
func (f *flow) taskEnded(result lua.LValue, err error) {
	f.verdict = f.judge(result, err)
	f.chunk.data, f.chunk.valid = nil, false
	f.running = false
	if f.held {
		f.held = false
		_ = f.conn.connection.Resume(f.dir, f.verdict) // it is held
	}
}

// judge turns what on_data returned into a verdict.
func (f *flow) judge(result lua.LValue, err error) framework.Verdict {
	if err != nil {
		return f.conn.failed(handlerData, err)
	}
	if result == lua.LNil {
		return framework.Pass
	}
	if text, ok := result.(lua.LString); ok {
		return framework.Replace(bytesOf(string(text)))
	}
	switch v := userValue(result).(type) {
	case *chunk:
		if v == &f.chunk {
			return framework.Pass
		}
		if v.valid {
			return framework.Replace([]byte(string(v.data)))
		}
	case *denial:
		return framework.Deny(v.reason)
	case drop:
		return framework.Drop
	}
	return f.conn.failed(handlerData, wrongResult(handlerData, result, "nil, a string, fwx.drop or fwx.deny(...)"))
}

// bytesOf returns the bytes of a string without copying them. Nobody may change
// them: they are sent, or written to a file.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// textOf returns bytes that nobody changes any more as a string, without copying.
func textOf(b []byte) lua.LString { return lua.LString(unsafe.String(unsafe.SliceData(b), len(b))) }
