package testkit

import (
	"strings"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
)

// argPeer returns the connection that a method is called on.
func argPeer(L *lua.LState) *peer { return argObject[*peer](L, 1, "connection") }

// peerField makes a field of the function that returns it.
func peerField(get func(*peer) lua.LValue) func(*test, *lua.LState) int {
	return func(_ *test, L *lua.LState) int { return give(L, get(argPeer(L))) }
}

var peerFields = []binding{
	{
		"state", peerField(func(p *peer) lua.LValue { return lua.LString(p.state) }), `"open"|"closed"|"reset"`,
		"What this side has seen of the other: `\"closed\"` when the stream has ended, `\"reset\"` when it was broken off, as a denied connection is.",
	},
	{
		"address", peerField(func(p *peer) lua.LValue { return lua.LString(p.socket.Local().String()) }), "string",
		"The address of this end.",
	},
}

// connFields are those of peers, and what is known of the connection in the gateway.
var connFields = append([]binding{
	{
		"server", peerField(func(p *peer) lua.LValue {
			if other := p.opposite(); other != nil {
				return other.object
			}
			return lua.LNil
		}), "peer?",
		"The other end, which a server has accepted; `nil`: the gateway has connected to none.",
	},
	{
		"verdict", peerField(func(p *peer) lua.LValue {
			return p.told(func(c *framework.Connection) lua.LValue { return lua.LString(c.Outcome().String()) })
		}), `"pass"|"deny"|"fail"`,
		"How it went so far.",
	},
	{
		"reason", peerField(func(p *peer) lua.LValue {
			return p.told(func(c *framework.Connection) lua.LValue {
				if c.Reason() == "" {
					return lua.LNil
				}
				return lua.LString(c.Reason())
			})
		}), "string?",
		"Why it was ended; `nil` if both sides agreed.",
	},
	{"held", peerField((*peer).held), "boolean", "Whether a handler of the script keeps it, or one of its directions, waiting."},
	{"waits", peerField((*peer).waiting), "string?", "What its handlers wait for, a line each: `on_connect waits in get at check.lua:36`."},
}, peerFields...)

// told returns something of the connection; nil if the gateway has not accepted it.
func (p *peer) told(get func(*framework.Connection) lua.LValue) (v lua.LValue) {
	v = lua.LNil
	if c := p.connection(); c != nil {
		p.test.onWorker(func() { v = get(c) })
	}
	return v
}

// info returns how the connection is in the gateway; false if it is not there any more.
func (p *peer) info() (framework.ConnectionInfo, bool) {
	t, c := p.test, p.connection()
	if c == nil || t.gateway.stopped {
		return framework.ConnectionInfo{}, false
	}
	info, err := t.gateway.fw.InspectConnection(t.ctx, c.ID())
	return info, err == nil
}

func (p *peer) held() lua.LValue {
	info, ok := p.info()
	return lua.LBool(ok && len(info.Holds) > 0)
}

func (p *peer) waiting() lua.LValue {
	info, ok := p.info()
	if !ok || len(info.Holds) == 0 {
		return lua.LNil
	}
	return lua.LString(strings.Join(waitsOf(info), "\n"))
}

var peerMethods = append([]binding{
	{"send", peerSend, "(data: string)", "Sends data. What the gateway does not take yet is sent later."},
	{
		"receive", peerReceive, "() -> string",
		"What has come since it was called before, `\"\"` if nothing has. It does not wait: all that happens without time passing has happened.",
	},
	{"finish", peerDo((*peer).finish), "()", "Ends the stream of this side, as `shutdown` of a socket does; the other may go on."},
	{"close", peerDo((*peer).close), "()", "Closes the connection."},
	{"reset", peerDo((*peer).reset), "()", "Breaks it off."},
}, messageMethods...)

// connMethods are those of peers, and what clients do.
var connMethods = append([]binding{
	{
		"request", connRequest, "(options?: {method?: string, path?: string, host?: string, headers?: table, body?: string|table, cut?: boolean}) -> exchange",
		"Makes a request of HTTP on the connection, see [requests](#requests).",
	},
}, peerMethods...)

func peerSend(t *test, L *lua.LState) int {
	if err := argPeer(L).send(argString(L, 2)); err != nil {
		t.raise(L, err)
	}
	t.settleUnlessServing(L)
	return 0
}

func peerReceive(t *test, L *lua.LState) int {
	p := argPeer(L)
	t.settleUnlessServing(L)
	return give(L, lua.LString(p.receive()))
}

func peerDo(do func(*peer)) func(*test, *lua.LState) int {
	return func(t *test, L *lua.LState) int {
		do(argPeer(L))
		t.settleUnlessServing(L)
		return 0
	}
}
