package scripting

import (
	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
	"fwx/framework/completion"
	"fwx/framework/strict"
)

// connField is a field of conn.
type connField struct {
	name string
	get  func(c *conn) lua.LValue
}

// connFields are the fields of conn; its methods are in connMethods.
var connFields = []connField{
	{"id", func(c *conn) lua.LValue { return lua.LNumber(c.connection.ID()) }},
	{"client", (*conn).clientText},
	{"client_port", func(c *conn) lua.LValue { return portOf(c.connection.Client()) }},
	{"server", func(c *conn) lua.LValue { return addressText(c.connection.Server()) }},
	{"listener", func(c *conn) lua.LValue { return lua.LString(c.connection.Listener()) }},
	{"upstream", func(c *conn) lua.LValue { return lua.LString(c.connection.Upstream()) }},
	{"session", (*conn).sessionObject},
	{"ctx", (*conn).context},
	{"bytes_up", func(c *conn) lua.LValue { return lua.LNumber(c.connection.Bytes(framework.Upstream)) }},
	{"bytes_down", func(c *conn) lua.LValue { return lua.LNumber(c.connection.Bytes(framework.Downstream)) }},
	{"duration", func(c *conn) lua.LValue { return lua.LNumber(c.connection.Duration().Seconds()) }},
	{"verdict", func(c *conn) lua.LValue { return lua.LString(c.connection.Outcome().String()) }},
	{"reason", (*conn).reason},
}

var connMethods = []binding{
	{"send", connSend},
	{"close", connClose},
	{"reset", connReset},
}

// connClass returns the metatable of conn.
func (s *state) connClass() *lua.LTable {
	fields := make(map[string]func(*conn) lua.LValue)
	names := make([]string, 0, len(connFields)+len(connMethods))
	for _, f := range connFields {
		fields[f.name] = f.get
		names = append(names, f.name)
	}
	names = append(names, namesOf(connMethods)...)
	methods := s.table(connMethods...)
	class := s.table(
		binding{"__index", func(_ *state, L *lua.LState) int {
			c, name := argConn(L), argString(L, 2)
			if get := fields[name]; get != nil {
				return give(L, get(c))
			}
			method := methods.RawGetString(name)
			if method == lua.LNil {
				L.RaiseError("conn has no field %q%s", name, strict.Suggest(name, names))
			}
			return give(L, method)
		}},
		binding{"__newindex", func(_ *state, L *lua.LState) int {
			L.RaiseError("the fields of conn cannot be set: keep your own values in conn.ctx")
			return 0
		}},
		binding{"__tostring", func(_ *state, L *lua.LState) int {
			c := argConn(L)
			return give(L, lua.LString("connection "+lua.LNumber(c.connection.ID()).String()))
		}},
	)
	class.RawSetString("__metatable", lua.LString("conn"))
	return class
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
	{"get", sessionGet},
	{"set", sessionSet},
	{"incr", sessionIncr},
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
func sessionSet(_ *state, L *lua.LState) int {
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
	return &codedError{"the session holds too many values", codeFull}
}
