package scripting

import (
	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
	"fwx/framework/completion"
	"fwx/framework/wire/websocket"
)

// connField makes a field of conn of the function that returns it.
func connField(get func(*conn) lua.LValue) func(*state, *lua.LState) int {
	return func(_ *state, L *lua.LState) int { return give(L, get(argConn(L))) }
}

var connFields = []binding{
	{
		"id", connField(func(c *conn) lua.LValue { return lua.LNumber(c.connection.ID()) }), "integer",
		"Unique from start to end of the service; it begins at 1 with each start.",
	},
	{
		"client", connField((*conn).clientText), "string?",
		"The client's address, `\"192.0.2.7\"` or `\"2001:db8::7\"`; IPv4 always in the form of IPv4. `nil` on a unix socket.",
	},
	{
		"client_port", connField(func(c *conn) lua.LValue { return portOf(c.connection.Client()) }), "integer?",
		"`nil` on a unix socket.",
	},
	{
		"server", connField(func(c *conn) lua.LValue { return addressText(c.connection.Server()) }), "string?",
		"The server's address with port, `\"10.0.0.5:80\"`. In `on_connect` the one that will be tried first; `nil` if none has " +
			"been chosen, or if a filter emulates the server.",
	},
	{
		"listener", connField(func(c *conn) lua.LValue { return lua.LString(c.connection.Listener()) }), "string",
		"The listener's name.",
	},
	{
		"upstream", connField(func(c *conn) lua.LValue { return lua.LString(c.connection.Upstream()) }), "string",
		"The upstream's name.",
	},
	{
		"parent", connField((*conn).parent), "conn?",
		"Of a connection that [was expected](#expected) the one in which it was; `nil` for all others.",
	},
	{
		"tls", connField((*conn).tls), "tls?",
		"TLS with the client, see [tls](#tls); `nil` on a listener without it.",
	},
	{"session", connField((*conn).sessionObject), "session", "The client's session."},
	{
		"ctx", connField((*conn).context), "table",
		"A table of the script's own for this connection, empty at first.",
	},
	{
		"bytes_up", connField(func(c *conn) lua.LValue { return lua.LNumber(c.connection.Bytes(framework.Upstream)) }), "integer",
		"The bytes received from the client so far.",
	},
	{
		"bytes_down", connField(func(c *conn) lua.LValue { return lua.LNumber(c.connection.Bytes(framework.Downstream)) }), "integer",
		"The bytes received from the server so far.",
	},
	{
		"duration", connField(func(c *conn) lua.LValue { return lua.LNumber(c.connection.Duration().Seconds()) }), "number",
		"The seconds since the connection was accepted; fixed at its end.",
	},
	{
		"verdict", connField(func(c *conn) lua.LValue { return lua.LString(c.connection.Outcome().String()) }), `"pass"|"deny"|"fail"`,
		"How it went so far.",
	},
	{"reason", connField((*conn).reason), "string?", "Why it was ended; `nil` if both sides agreed."},
	{
		"ended_by", connField(func(c *conn) lua.LValue { return lua.LString(c.connection.EndedBy().String()) }),
		`"nobody"|"client"|"server"|"filter"|"limit"|"gateway"|"operator"`,
		"Who has ended it: `\"nobody\"` if both sides agreed; `\"limit\"`: a time or size of the configuration; `\"gateway\"`: the service ends, or has a fault.",
	},
}

var connMethods = []binding{
	{
		"send", connSend, "(direction: direction, data: bytes) -> true or fail",
		"Sends data in a direction, behind what has been sent and before the chunk that is being handled. No filter sees it. " +
			"Does not wait. `\"full\"`: more than 1 MiB would wait for the receiver. `\"closed\"`: the connection, or the stream " +
			"in that direction, has ended. `\"error\"`: it is not connected yet, as in `on_connect`.",
	},
	{
		"send_message", connSendMessage, "(direction: direction, data: bytes, kind?: \"text\"|\"binary\") -> true or fail",
		"Sends a message on a WebSocket, behind what has been sent and before the message that is being handled; a text unless `kind` says " +
			"otherwise. No filter sees it. Does not wait. Only where a script has `on_message`. `\"full\"`: more than 1 MiB would wait for " +
			"the receiver. `\"closed\"`: the WebSocket has been closed. `\"error\"`: it is none, or not yet, or the text is not UTF-8.",
	},
	{
		"close_websocket", connCloseWebSocket, "(code?: integer, reason?: string) -> true or fail",
		"Closes a WebSocket towards both sides, with a code from 1000 to 1003, 1007 to 1014 or 3000 to 4999 (1000 if it is missing) and a " +
			"reason. Only where a script has `on_message`. `\"error\"`: it is none, or not yet, or the code is another.",
	},
	{
		"expect", connExpect, "(options: {from: \"client\"|\"server\", port: integer, listen_port?: integer, timeout?: number, watch?: boolean}) -> expected or fail",
		"Lets one connection more through, see [expected](#expected).",
	},
	{
		"set_upstream", connSetUpstream, "(name: string) -> true or fail",
		"Chooses the upstream that the connection goes to, in `on_client_hello`; on a listener that speaks HTTP the one of requests for which " +
			"neither a route nor `req.upstream` names another. `\"unknown\"`: the configuration has no upstream of that name. `\"error\"`: " +
			"called anywhere else.",
	},
	{
		"set_tls_mode", connSetTLSMode, "(mode: \"terminate\"|\"passthrough\") -> true or fail",
		"Decides in `on_client_hello` whether the gateway terminates TLS or passes it through, whatever the listener's `mode` is. " +
			"No HTTP is spoken then on a connection that is passed through. `\"error\"`: anywhere else, or the listener has no certificate.",
	},
	{
		"close", connClose, "()",
		"Ends the connection. What has not been sent is dropped. The handler goes on; its next call that waits raises " +
			"\"connection ended\".",
	},
	{"reset", connReset, "()", "The same as `conn:close`, and both sides see a reset."},
}

var connMeta = []binding{
	{"__newindex", connSet, "", ""},
	{"__tostring", connToString, "() -> string", "`connection 7`, for logs."},
}

func connSet(_ *state, L *lua.LState) int {
	L.RaiseError("the fields of conn cannot be set: keep your own values in conn.ctx")
	return 0
}

func connToString(_ *state, L *lua.LState) int {
	return give(L, lua.LString("connection "+lua.LNumber(argConn(L).connection.ID()).String()))
}

func argConn(L *lua.LState) *conn { return argObject[*conn](L, 1, "conn") }

func (c *conn) clientText() lua.LValue {
	if c.client == nil {
		c.client = lua.LNil
		if a := c.connection.Client().Addr(); a.IsValid() {
			c.client = lua.LString(a.Unmap().String())
		}
	}
	return c.client
}

// portOf returns the port of an address; nil for a unix socket.
func portOf(a completion.Address) lua.LValue {
	if !a.AddrPort.IsValid() {
		return lua.LNil
	}
	return lua.LNumber(a.Port())
}

// addressText returns an address with its port; nil for none.
func addressText(a completion.Address) lua.LValue {
	if a == (completion.Address{}) {
		return lua.LNil
	}
	return lua.LString(a.String())
}

// context returns the table that belongs to the script.
func (c *conn) context() lua.LValue {
	if c.ctx == nil {
		c.ctx = c.state.L.NewTable()
	}
	return c.ctx
}

func (c *conn) reason() lua.LValue {
	if reason := c.connection.Reason(); reason != "" {
		return lua.LString(reason)
	}
	return lua.LNil
}

// argDirection returns an argument that is the name of a direction.
func argDirection(L *lua.LState, n int) framework.Direction {
	switch name := argString(L, n); name {
	case framework.Upstream.String():
		return framework.Upstream
	case framework.Downstream.String():
		return framework.Downstream
	default:
		L.ArgError(n, `"upstream" or "downstream" expected, got "`+name+`"`)
		return framework.Upstream
	}
}

// connSend injects data into a direction.
func connSend(s *state, L *lua.LState) int {
	c, dir := argConn(L), argDirection(L, 2)
	data := argBytes(L, 3)
	if _, ok := userValue(L.Get(3)).(*chunk); ok {
		data = append([]byte(nil), data...) // it is sent after the chunk's end
		s.meter.chargeBytes(len(data))
	}
	return giveDone(L, c.connection.Send(dir, data))
}

// connSendMessage sends a message on a WebSocket.
func connSendMessage(_ *state, L *lua.LState) int {
	c, dir, data := argConn(L), argDirection(L, 2), argBytes(L, 3) // which is copied
	kind := L.OptString(4, kindText)
	if kind != kindText && kind != kindBinary {
		L.ArgError(4, `"text" or "binary" expected, got "`+kind+`"`)
	}
	return giveDone(L, c.connection.SendMessage(dir, framework.Message{Text: kind == kindText, Data: data}))
}

func connCloseWebSocket(_ *state, L *lua.LState) int {
	c := argConn(L)
	code := optInteger(L, 2, 1000, 4999, websocket.CodeNormal)
	reason := ""
	if L.Get(3) != lua.LNil {
		reason = argString(L, 3)
	}
	return giveDone(L, c.connection.CloseWebSocket(int(code), reason))
}

func connClose(_ *state, L *lua.LState) int {
	c := argConn(L)
	if !c.over() {
		c.connection.Close()
	}
	return 0
}

func connReset(_ *state, L *lua.LState) int {
	c := argConn(L)
	if !c.over() {
		c.connection.Reset()
	}
	return 0
}

var sessionMethods = []binding{
	{"get", sessionGet, "(key: string) -> string|number|boolean|nil", "The value of a key."},
	{
		"set", sessionSet, "(key: string, value: bytes|number|boolean|nil) -> true or fail",
		"`nil` removes the value. `\"full\"`: there are 1024 already, or they would take more than 1 MiB, or those of all sessions " +
			"more than 64 MiB.",
	},
	{
		"incr", sessionIncr, "(key: string, by?: number) -> sum: number or fail",
		"Adds to a number, 1 if `by` is missing, in one step for all workers. What is no number counts as 0. `\"full\"` likewise.",
	},
}

func (c *conn) sessionObject() lua.LValue {
	if c.session == nil {
		c.session = c.state.object(c.state.types.session, c.connection.Session())
	}
	return c.session
}

func argSession(L *lua.LState) *framework.Session {
	return argObject[*framework.Session](L, 1, "session")
}

func sessionGet(_ *state, L *lua.LState) int {
	switch v := argSession(L).Get(argString(L, 2)).(type) {
	case string:
		return give(L, lua.LString(v))
	case float64:
		return give(L, lua.LNumber(v))
	case bool:
		return give(L, lua.LBool(v))
	}
	return give(L, lua.LNil)
}

// sessionSet stores a value. Other workers read it too, so it cannot be one that
// belongs to this state.
func sessionSet(s *state, L *lua.LState) int {
	session, key := argSession(L), argString(L, 2)
	var value any
	switch v := L.Get(3).(type) {
	case lua.LString:
		value = string(v)
	case lua.LNumber:
		value = float64(v)
	case lua.LBool:
		value = bool(v)
	case *lua.LNilType:
	default:
		if _, ok := userValue(v).(*chunk); !ok {
			L.ArgError(3, "a session holds strings, numbers and booleans, not "+describe(v))
		}
		value = argString(L, 3)
	}
	if text, ok := value.(string); ok {
		s.meter.chargeBytes(len(text))
	}
	return giveDone(L, sessionFull(session.Set(key, value)))
}

func sessionIncr(_ *state, L *lua.LState) int {
	session, key, by := argSession(L), argString(L, 2), 1.0
	if L.Get(3) != lua.LNil {
		by = argNumber(L, 3)
	}
	sum, ok := session.Incr(key, by)
	if err := sessionFull(ok); err != nil {
		return giveError(L, err)
	}
	return give(L, lua.LNumber(sum))
}

func sessionFull(ok bool) error {
	if ok {
		return nil
	}
	return &codedError{"the session, or all sessions together, would hold too much", codeFull}
}
