package scripting

import (
	"bytes"
	"encoding/binary"

	lua "github.com/yuin/gopher-lua"
)

var frameFunctions = []binding{
	{
		"lines", frameLines, "(options: " + lineOptions + "?, fn: " + recordHandler + ") -> " + dataHandler,
		"Makes an `on_data` of a function for lines. `\\n` or `\\r\\n` ends a line and is not in it. `max` bytes, 8192 if missing, " +
			"are the most that a line has, up to 1 MiB. See [records](#records).",
	},
	{
		"length", frameLength, "(options: " + lengthOptions + "?, fn: " + recordHandler + ") -> " + dataHandler,
		"Makes an `on_data` of a function for records that begin with their length. It has `size` bytes, 4 if missing, and " +
			"counts itself too if `itself` is true. `max` bytes, 65,536 if missing, are the most that a record has without its " +
			"length, up to 1 MiB. See [records](#records).",
	},
}

// Parts of signatures.
const (
	lineOptions   = `{max?: integer, beyond?: "error"|"pass"}`
	lengthOptions = `{size?: 1|2|4|8, endian?: "big"|"little", itself?: boolean, max?: integer, beyond?: "error"|"pass"}`
	recordHandler = "fun(conn: conn, record: string, direction: direction, complete: boolean): bytes|verdict|nil"
	dataHandler   = "fun(conn: conn, chunk: bytes, direction: direction): bytes|verdict"
)

const (
	maxRecord     = 1 << 20 // that a script may ask for
	defaultLine   = 8 << 10
	defaultRecord = 64 << 10
)

func frameLines(s *state, L *lua.LState) int {
	o := argOptions(L, 1, "max", "beyond")
	cut := lineCutter{o.integer("max", 1, maxRecord, defaultLine)}
	return s.giveFramer(L, o, cut)
}

func frameLength(s *state, L *lua.LState) int {
	o := argOptions(L, 1, "size", "endian", "itself", "max", "beyond")
	cut := lengthCutter{
		max: o.integer("max", 1, maxRecord, defaultRecord), size: o.integer("size", 1, maxLengthSize, 4),
		order: binary.BigEndian, itself: o.flag("itself"),
	}
	if cut.size&(cut.size-1) != 0 {
		o.fail("size", "wants 1, 2, 4 or 8")
	}
	if o.choice("endian", "big", "little") == "little" {
		cut.order = binary.LittleEndian
	}
	return s.giveFramer(L, o, cut)
}

// framer calls a function of the script for each record of a stream.
type framer struct {
	state  *state
	cut    cutter
	fn     *lua.LFunction
	beyond bool // a record that is too long is passed
}

func (s *state) giveFramer(L *lua.LState, o options, cut cutter) int {
	fr := &framer{state: s, cut: cut, fn: argFunction(L, 2), beyond: o.choice("beyond", "error", "pass") == "pass"}
	return give(L, s.function(binding{name: "fwx.frame", call: fr.data}))
}

// frames is one direction of a connection, as a framer cuts it.
type frames struct {
	framer *framer
	conn   *conn
	flow   *flow
	kept   []byte // the beginning of a record, which has not been sent
	before []byte // what was kept before the handler that runs, if errors let pass
	pass   int64  // bytes to come that are passed
	busy   bool   // a chunk is being cut, or its cutting has failed
}

// framesOf returns what a framer knows of a direction.
func (f *flow) framesOf(fr *framer) *frames {
	for _, fs := range f.frames {
		if fs.framer == fr {
			return fs
		}
	}
	fs := &frames{framer: fr, conn: f.conn, flow: f}
	f.frames = append(f.frames, fs)
	return fs
}

// begin raises an error if what is kept is not all there is before the next chunk.
func (fs *frames) begin(L *lua.LState) {
	if fs.busy {
		L.RaiseError("fwx.frame: this direction is being cut already, or has failed")
	}
	fs.busy = true
}

// data is the on_data that a framer is.
func (fr *framer) data(s *state, L *lua.LState) int {
	c, chunk, dir := argConn(L), s.argLasting(L, 2), argDirection(L, 3)
	fs := c.flow(dir).framesOf(fr)
	fs.begin(L)
	result := fs.cut(L, chunk)
	fs.busy = false
	if text, ok := result.(lua.LString); ok && string(text) == "" {
		result = s.drop
	}
	if result == lua.LNil {
		result = L.Get(2)
	}
	return give(L, result)
}

// cut cuts a chunk, behind what has been kept, and returns what becomes of it:
// nil, a string or a verdict on the connection. What is no whole record is kept.
func (fs *frames) cut(L *lua.LState, chunk []byte) lua.LValue {
	s := fs.framer.state
	s.meter.chargeBytes(len(chunk))
	e := edit{data: chunk}
	whole := len(fs.kept) == 0
	if !whole {
		fs.kept = append(fs.kept, chunk...)
		e.data = fs.kept
	}
	for e.at < len(e.data) {
		rest := e.data[e.at:]
		if fs.pass != 0 {
			var n int
			n, fs.pass = passed(rest, fs.pass)
			e.keep(n)
			continue
		}
		r, wrong := fs.framer.cut.next(rest)
		if wrong != nil {
			fs.refuse(L, wrong)
			fs.pass = wrong.pass
			continue
		}
		if r.end == 0 {
			break
		}
		if denied := fs.judge(L, &e, r, rest); denied != nil {
			return denied
		}
		s.checkSize(L, len(e.out)-e.charged)
		e.charged = len(e.out)
	}
	result := e.result(whole && e.at == len(chunk))
	fs.kept = append(fs.kept[:0], e.data[e.at:]...)
	if len(fs.kept) == 0 {
		fs.kept = nil
	}
	return result
}

// judge asks the script about a record, and carries out what it answers. A
// verdict on the connection is returned.
func (fs *frames) judge(L *lua.LState, e *edit, r piece, data []byte) lua.LValue {
	switch v := fs.ask(L, data[r.from:r.to], true).(type) {
	case *lua.LNilType:
		e.keep(r.end)
	case lua.LString:
		formed, err := fs.framer.cut.form(nil, string(v), r, data)
		if err != nil {
			fs.failed(L, err)
			formed = data[:r.end]
		}
		e.replace(r.end, formed)
	default:
		if v != lua.LValue(fs.framer.state.drop) {
			return v
		}
		e.replace(r.end, nil)
	}
	return nil
}

// rest asks the script about what has been kept at the end of the stream, and
// returns what becomes of it, as cut does.
func (fs *frames) rest(L *lua.LState) lua.LValue {
	fs.begin(L)
	if len(fs.kept) == 0 {
		return lua.LString("")
	}
	result := fs.ask(L, fs.kept, false)
	switch result {
	case lua.LNil:
		result = lua.LString(fs.kept)
	case lua.LValue(fs.framer.state.drop):
		result = lua.LString("")
	}
	fs.kept = nil
	return result
}

// instructionsPerCall is what a call of the script by the host counts.
const instructionsPerCall = 8

// ask calls the function of the script. An error in it passes the record, if the
// settings say so.
func (fs *frames) ask(L *lua.LState, content []byte, complete bool) lua.LValue {
	s := fs.framer.state
	s.meter.charge(instructionsPerCall)
	s.meter.chargeBytes(len(content))
	tolerant := s.filter.settings.OnError == OnErrorPass
	if tolerant && s.meter.Left < 0 {
		return lua.LNil // every instruction would fail
	}
	L.Push(fs.framer.fn)
	L.Push(fs.conn.object)
	L.Push(lua.LString(content))
	L.Push(s.direction[fs.flow.dir])
	L.Push(lua.LBool(complete))
	const arguments = 4
	if !tolerant {
		L.Call(arguments, 1)
	} else if err := s.attempt(L, arguments); err != nil {
		s.running.raiseInterrupted(L)
		fs.failed(L, err)
		return lua.LNil
	}
	result := L.Get(-1)
	L.Pop(1)
	switch v := userValue(result).(type) {
	case *chunk:
		return lua.LString(v.bytes(L))
	case *denial, drop:
		return result
	}
	if result.Type() != lua.LTNil && result.Type() != lua.LTString {
		fs.failed(L, wrongResult("the function for records", result, "nil, a string, fwx.drop or fwx.deny(...)"))
		return lua.LNil
	}
	return result
}

// refuse raises the error of a record that is none, unless it is to be passed.
func (fs *frames) refuse(L *lua.LState, err *frameError) {
	if !fs.framer.beyond {
		fs.failed(L, err)
	}
}

// failed raises an error, or logs it if errors let pass.
func (fs *frames) failed(L *lua.LState, err error) {
	if fs.framer.state.filter.settings.OnError != OnErrorPass {
		L.RaiseError("%s", err.Error())
	}
	fs.conn.state.logError(handlerData, fs.conn.connection.ID(), err)
}

// note notes what a handler that fails must not lose.
func (fs *frames) note() {
	if fs.conn.state.filter.settings.OnError == OnErrorPass {
		fs.before = bytes.Clone(fs.kept)
	}
}

// abandon gives up cutting after an error outside of the function for records:
// it returns what was kept before the handler, and passes all to come.
func (fs *frames) abandon() []byte {
	fs.kept, fs.pass, fs.busy = nil, passForever, false
	return fs.before
}

// edit makes new data of old. As long as nothing is changed nothing is copied.
type edit struct {
	data    []byte
	from    int // of what is as it was and not in out yet
	at      int // how far it has come
	out     []byte
	changed bool
	charged int
}

func (e *edit) keep(n int) { e.at += n }

func (e *edit) replace(n int, with []byte) {
	e.out = append(append(e.out, e.data[e.from:e.at]...), with...)
	e.at += n
	e.from, e.changed = e.at, true
}

// result returns what has been made; nil if that is all of the chunk, unchanged.
func (e *edit) result(whole bool) lua.LValue {
	if !e.changed && whole {
		return lua.LNil
	}
	return lua.LString(append(e.out, e.data[e.from:e.at]...))
}

// streamEnded asks about what framers have kept at the end of a direction, and
// calls on_end. Its result is as that of on_end.
func streamEnded(s *state, L *lua.LState) int {
	c, dir := argConn(L), argDirection(L, 2)
	var out []byte
	for _, fs := range c.flow(dir).frames {
		rest := fs.rest(L)
		text, ok := rest.(lua.LString)
		if !ok {
			return give(L, rest)
		}
		out = append(out, text...)
	}
	if s.handlers.end == nil {
		return s.giveBytes(L, out)
	}
	L.Push(s.handlers.end)
	L.Push(L.Get(1))
	L.Push(L.Get(2))
	L.Call(2, 1)
	switch v := L.Get(-1).(type) {
	case *lua.LNilType:
		return s.giveBytes(L, out)
	case lua.LString:
		return s.giveBytes(L, append(out, v...))
	default:
		return 1
	}
}
