package scripting

import (
	"net/netip"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
)

// connExpect expects a secondary connection. It goes to the address at the other
// end of the script's own, of which the script says the port only.
func connExpect(s *state, L *lua.LState) int {
	c, o := argConn(L).connection, argOptions(L, 2, "from", "port", "listen_port", "timeout", "watch")
	e := framework.Expectation{
		Local: netip.AddrPortFrom(netip.Addr{}, uint16(o.integer("listen_port", 1, maxPort, 0))),
	}
	to := c.Server()
	switch from := o.text("from"); from {
	case "client":
	case "server":
		e.Direction, to = framework.Downstream, c.Client()
	default:
		o.fail("from", `wants "client" or "server"`)
	}
	port := o.integer("port", 1, maxPort, 0)
	if port == 0 {
		o.fail("port", "is missing")
	}
	e.To = netip.AddrPortFrom(to.Addr(), uint16(port))
	if o.get("timeout") != lua.LNil {
		e.Timeout = o.timeout()
	}
	if o.flag("watch") {
		e.Filter = s.filter
	}
	if !s.filter.reach.expect {
		return giveError(L, s.filter.reach.denied("expect connections", "expect = true"))
	}
	x, err := c.Expect(e)
	if err != nil {
		return giveError(L, err)
	}
	return give(L, s.object(s.types.expected, x))
}

const maxPort = 65535

var expectedFields = []binding{
	{
		"address", expectedField(func(a netip.AddrPort) lua.LValue { return lua.LString(a.Addr().String()) }), "string",
		"The gateway's address on which it is waited for.",
	},
	{
		"port", expectedField(func(a netip.AddrPort) lua.LValue { return lua.LNumber(a.Port()) }), "integer",
		"The port.",
	},
}

var expectedMethods = []binding{
	{"cancel", expectedCancel, "()", "Waits for it no longer. Has no effect when the connection has come."},
}

func expectedField(get func(netip.AddrPort) lua.LValue) func(*state, *lua.LState) int {
	return func(_ *state, L *lua.LState) int {
		return give(L, get(argObject[*framework.Expected](L, 1, "expected").Address()))
	}
}

func expectedCancel(_ *state, L *lua.LState) int {
	argObject[*framework.Expected](L, 1, "expected").Cancel()
	return 0
}

// parent returns the connection that the script has expected this one in.
func (c *conn) parent() lua.LValue {
	if p := c.connection.Parent(); p != nil {
		return c.state.connOf(p).object
	}
	return lua.LNil
}
