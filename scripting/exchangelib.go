package scripting

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
)

func argMessage(L *lua.LState) *message { return argObject[*message](L, 1, "request or response") }

// live returns the exchange of a message, which must not be over.
func (m *message) live(L *lua.LState) *framework.Exchange {
	if m.exchange.over() {
		L.RaiseError("the request is over: keep what you need of it")
	}
	return m.exchange.x
}

// messageField makes a field of req or res of the function that returns it.
func messageField(get func(*framework.Exchange) lua.LValue) func(*state, *lua.LState) int {
	return func(_ *state, L *lua.LState) int { return give(L, get(argMessage(L).live(L))) }
}

var requestFields = []binding{
	{
		"id", messageField(func(x *framework.Exchange) lua.LValue { return lua.LString(x.ID()) }), "string",
		"The request's id, which is in the log, and for the client and the server in `X-Request-Id`, or the field that `request_id` names.",
	},
	{
		"method", messageField(func(x *framework.Exchange) lua.LValue { return lua.LString(x.Request().Method()) }), "string",
		"The method. Can be set [until the request goes on](#when-what-is-possible).",
	},
	{
		"path", messageField(func(x *framework.Exchange) lua.LValue { return lua.LString(x.Request().CleanPath()) }), "string",
		"The path, to compare: without the query, and the same for each spelling that a server may understand (`//a`, `/%61`, `/x/../a`), " +
			"see [http.md](http.md#spellings). Can be set [until the request goes on](#when-what-is-possible), without any encoding; the query stays as it is.",
	},
	{
		"query", messageField(func(x *framework.Exchange) lua.LValue {
			_, query, asked := bytes.Cut(x.Request().Path(), []byte("?"))
			if !asked {
				return lua.LNil
			}
			return lua.LString(query)
		}), "string?", "What stands behind the `?`, as it was sent; `nil` without one.",
	},
	{
		"target", messageField(func(x *framework.Exchange) lua.LValue { return lua.LString(x.Request().Path()) }), "string",
		"Path and query, as they were sent and go on. Can be set [until the request goes on](#when-what-is-possible). Not to compare: use `path` for that.",
	},
	{
		"host", messageField(func(x *framework.Exchange) lua.LValue { return lua.LString(x.Request().Hostname()) }), "string",
		"The host that the request is for, to compare: in lower case, without its port and without a dot at its end. Can be set " +
			"[until the request goes on](#when-what-is-possible), with a port if need be.",
	},
	{
		"authority", messageField(func(x *framework.Exchange) lua.LValue { return lua.LString(x.Request().Host()) }), "string",
		"The host as it was sent and goes on, with its port if there is one. Not to compare: use `host` for that.",
	},
	{
		"version", messageField(func(x *framework.Exchange) lua.LValue {
			return lua.LString("1." + strconv.Itoa(x.Request().Minor()))
		}), `"1.0"|"1.1"`, "The version of HTTP that the client speaks.",
	},
	{
		"upstream", messageField(func(x *framework.Exchange) lua.LValue {
			if name := x.Upstream(); name != "" {
				return lua.LString(name)
			}
			return lua.LNil
		}), "string?", "The upstream that the request goes to; `nil` before that is known. Can be set [until the request goes on](#when-what-is-possible).",
	},
	hasBodyField, headersField, trailersField,
}

var responseFields = []binding{
	{
		"status", messageField(func(x *framework.Exchange) lua.LValue { return lua.LNumber(x.Response().Status()) }), "integer",
		"The status. Can be set [until the response goes on](#when-what-is-possible).",
	},
	hasBodyField, headersField, trailersField,
}

var hasBodyField = binding{"has_body", func(_ *state, L *lua.LState) int {
	m := argMessage(L)
	return give(L, lua.LBool(m.live(L).HasBody(m.dir)))
}, "boolean", "Whether a body comes with it: its headers tell of one, other than of 0 bytes, and for a response the client is sent one " +
	"(not with HEAD, nor with the status 204, 205 or 304). Without one the handler for bodies is given the end alone."}

var headersField = binding{"headers", func(s *state, L *lua.LState) int {
	h := &argMessage(L).headers
	return give(L, s.objectAt(&h.object, s.types.headers, h))
}, "headers", "Its headers, without those that concern only the connection. They can be changed [until they go on](#when-what-is-possible)."}

var trailersField = binding{"trailers", func(s *state, L *lua.LState) int {
	m := argMessage(L)
	if m.trailers == nil {
		m.trailers = &messageHeaders{message: m, trailer: true}
	}
	return give(L, s.objectAt(&m.trailers.object, s.types.headers, m.trailers))
}, "headers", "The headers behind a body in chunks. They are there, and can be changed (`trailers:set(name, value)`, `add`, `remove`), when the handler for " +
	"bodies is given its end, an empty chunk; to change them before is an error. They go on behind a body that is sent on in chunks, as all are that have " +
	"such a handler. They are lost where a length is sent instead, with a body that was gathered, of which they cannot be changed, or on the disk, and " +
	"where the client speaks HTTP/1.0."}

var messageMethods = []binding{
	{
		"whole_body", wholeBody, "(limit: integer, overflow?: \"refuse\"|\"pass\"|\"spool\")",
		"In `on_request` or `on_response`, elsewhere it is an error: gathers the body of that message, up to a number of bytes, and gives it to the handler " +
			"for bodies in one chunk. One that is longer is refused with 413 (a response with 502), or passes unseen. " +
			"With `\"spool\"` that of a request goes [to the disk](http.md#bodies-on-the-disk), and the handler is given a `spooled` once, " +
			"instead of chunks; a string that it returns is sent instead.",
	},
	{
		"decode_body", decodeBody, "() -> true or fail",
		"In `on_request` or `on_response`, elsewhere it is an error: has the body of that message decoded (`Content-Encoding`: gzip, deflate, br, zstd, also several). " +
			"Handlers for bodies see what comes out, and that goes on; the headers say so. A body without a coding stays as it is. " +
			"`\"unknown\"`: a coding that is none of these. `\"error\"`: a part of a body (`Content-Range`).",
	},
}

func wholeBody(_ *state, L *lua.LState) int {
	m := argMessage(L)
	limit := argInteger(L, 2, 1, maxStringSize)
	overflow := framework.OverflowRefuse
	switch word := L.OptString(3, "refuse"); word {
	case "refuse":
	case "pass":
		overflow = framework.OverflowPass
	case "spool":
		if m.dir == framework.Downstream {
			L.ArgError(3, `"spool" is for the body of a request`)
		}
		overflow = framework.OverflowSpool
	default:
		L.ArgError(3, fmt.Sprintf(`"refuse", "pass" or "spool" expected, got %q`, word))
	}
	return raise(L, m.live(L).WholeBody(m.dir, int(limit), overflow))
}

func decodeBody(_ *state, L *lua.LState) int {
	m := argMessage(L)
	err := m.live(L).DecodeBody(m.dir)
	if errors.Is(err, framework.ErrBadContext) {
		return raise(L, err)
	}
	return giveDone(L, err)
}

var requestMeta = []binding{{"__newindex", requestSet, "", ""}}

var responseMeta = []binding{{"__newindex", responseSet, "", ""}}

func requestSet(_ *state, L *lua.LState) int {
	x := argMessage(L).live(L)
	r, name, value := x.Request(), argString(L, 2), argString(L, 3)
	switch name {
	case "method":
		return raise(L, r.SetMethod(value))
	case "path":
		return raise(L, r.SetCleanPath(value))
	case "target":
		return raise(L, r.SetPath(value))
	case "host":
		return raise(L, r.SetHost(value))
	case "upstream":
		return raise(L, x.SetUpstream(value))
	}
	L.RaiseError("%s of a request cannot be set", name)
	return 0
}

func responseSet(_ *state, L *lua.LState) int {
	p, name := argMessage(L).live(L).Response(), argString(L, 2)
	if name != "status" {
		L.RaiseError("%s of a response cannot be set", name)
	}
	return raise(L, p.SetStatus(int(argInteger(L, 3, 200, 599))))
}

// argReadable checks an argument that is a file to be read.
func argReadable(L *lua.LState, n int, f *file) *file {
	if err := f.closed(); err != nil {
		L.ArgError(n, err.Error())
	}
	if m := fileModes[f.how]; m.needs[0] != reading {
		L.ArgError(n, fmt.Sprintf("a file open for reading expected, %s was opened with mode %q", f.path, f.how))
	}
	return f
}

// respond returns the verdict that answers a request.
func respond(s *state, L *lua.LState) int {
	r := &reply{status: int(argInteger(L, 1, 200, 599))}
	if v := L.Get(2); v != lua.LNil {
		list, err := messageFields(L).Read(v)
		if err != nil {
			L.ArgError(2, err.Error())
		}
		r.fields = list
	}
	switch f, ok := userValue(L.Get(3)).(*file); {
	case ok:
		r.file = argReadable(L, 3, f)
	case L.Get(3) != lua.LNil:
		r.body = s.argLasting(L, 3)
	}
	return give(L, s.object(s.types.verdict, r))
}
