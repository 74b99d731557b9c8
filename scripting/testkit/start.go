package testkit

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/store"
	"fwx/scripting"
)

var gatewayMethods = []binding{
	{
		"start", tStart, "(options?: {config?: table, allow?: table, on_error?: string, budget?: integer, event_budget?: integer, memory?: integer, breaker?: integer, " +
			"breaker_pause?: number, script?: string, server?: string, listener?: string, protocol?: string, tls?: string, upstream?: string, upstreams?: table, env?: table, dns?: table, shared?: table})",
		"Starts a gateway with the script, see [starting](#starting). A mistake in the script or the options, and an `on_init` that " +
			"fails, are errors: `t:start{ config = { limit = 2 } }`.",
	},
	{
		"stop", tStop, "()",
		"Ends the gateway: `on_shutdown`, and before it `on_close` of the connections there are. At the end of a test it is called anyway.",
	},
	{
		"connect", tConnect, "(options?: {client?: string, to?: string, tls?: {sni?: string, alpn?: string[]}}) -> conn",
		"Connects as a client: from the address `client`, with or without a port, to the listener, or to another address of the gateway, " +
			"`to`, on which the script expects a connection; with `tls` by TLS, see [TLS](#tls). `t:connect{ client = \"10.0.0.7:1234\" }`.",
	},
	{
		"request", tRequest, "(options?: {method?: string, path?: string, host?: string, headers?: table, body?: string|table, cut?: boolean, " +
			"client?: string, to?: string, tls?: table}) -> exchange",
		"Connects as `t:connect` does, and makes a request of HTTP, see [requests](#requests). `t:request{ path = \"/private\" }`.",
	},
}

var startOptions = []string{
	"config", "allow", "on_error", "budget", "event_budget", "memory", "breaker", "breaker_pause",
	"script", "server", "listener", "protocol", "tls", "upstream", "upstreams", "env", "dns", "shared",
}

func tStart(t *test, L *lua.LState) int {
	o := argOptions(L, 2, startOptions...)
	if t.gateway != nil {
		t.fail(L, "the gateway has been started already: a test has one")
	}
	s := t.setup(o)
	err := t.start(s)
	t.settle(L)
	if err != nil {
		t.raise(L, err)
	}
	return 0
}

// setup reads the options of t:start.
func (t *test) setup(o options) setup {
	s := setup{
		listener: o.text("listener"), protocol: o.text("protocol"), tls: o.text("tls"), upstream: o.text("upstream"),
		server: o.address("server", netip.MustParseAddrPort(defaultServer)), upstreams: o.upstreams(),
		shared: o.values("shared"),
	}
	setDefault(&s.listener, "listener")
	setDefault(&s.upstream, "upstream")
	allow := o.sub("allow", "read", "write", "connect", "dns", "insecure_tls", "expect", "env")
	s.script = scripting.Settings{
		Script: o.text("script"), OnError: o.text("on_error"),
		Budget: int64(o.number("budget")), EventBudget: int64(o.number("event_budget")), Memory: int64(o.number("memory")),
		Breaker: int(o.number("breaker")), BreakerPause: time.Duration(o.number("breaker_pause") * float64(time.Second)),
		Allow: scripting.Allow{
			Read: allow.texts("read"), Write: allow.texts("write"), Connect: allow.texts("connect"), DNS: allow.texts("dns"),
			InsecureTLS: allow.flag("insecure_tls"), Expect: allow.flag("expect"), Env: allow.texts("env"),
		},
		Config: o.config(), System: system(o.names(), o.variables()),
	}
	s.script.Script = t.suite.beside(s.script.Script)
	s.script.Name = filterName(s.script.Script)
	return s
}

func setDefault(v *string, value string) {
	if *v == "" {
		*v = value
	}
}

// address returns an option that is an address with a port.
func (o options) address(name string, missing netip.AddrPort) netip.AddrPort {
	text := o.text(name)
	if text == "" {
		return missing
	}
	address, err := netip.ParseAddrPort(text)
	if err != nil {
		o.L.ArgError(o.n, fmt.Sprintf(`option %s wants an address such as "10.0.0.5:80", got %q`, o.where+name, text))
	}
	return address
}

// upstreams returns the option of that name: where the one server of each is.
func (o options) upstreams() map[string]string {
	upstreams := make(map[string]string)
	inner := o.sub("upstreams")
	inner.each(func(name string, _ lua.LValue) { upstreams[name] = inner.address(name, netip.AddrPort{}).String() })
	return upstreams
}

func (o options) config() map[string]any {
	config := make(map[string]any)
	o.sub("config").each(func(name string, value lua.LValue) {
		v, err := toGo(value)
		if err != nil {
			o.L.ArgError(o.n, fmt.Sprintf("config.%s: %v", name, err))
		}
		config[name] = v
	})
	return config
}

func (o options) variables() map[string]string {
	variables := make(map[string]string)
	o.sub("env").each(func(name string, value lua.LValue) { variables[name] = value.String() })
	return variables
}

// names returns the option dns: the addresses of names, one or a list of them.
func (o options) names() directory {
	names := make(directory)
	dns := o.sub("dns")
	dns.each(func(name string, _ lua.LValue) {
		for _, text := range dns.texts(name) {
			addr, err := netip.ParseAddr(text)
			if err != nil {
				o.L.ArgError(o.n, fmt.Sprintf("dns.%s: %q is not an IP address", name, text))
			}
			names[name] = append(names[name], addr)
		}
	})
	return names
}

// values returns an option that is a table of what a store can hold.
func (o options) values(name string) map[string]store.Value {
	values := make(map[string]store.Value)
	o.sub(name).each(func(key string, value lua.LValue) {
		switch v := value.(type) {
		case lua.LString:
			values[key] = store.TextValue(string(v))
		case lua.LNumber:
			values[key] = store.NumberValue(float64(v))
		case lua.LBool:
			values[key] = store.BoolValue(bool(v))
		default:
			o.L.ArgError(o.n, fmt.Sprintf("%s.%s: a string, number or boolean expected, got %s", name, key, describe(value)))
		}
	})
	return values
}

func tStop(t *test, L *lua.LState) int {
	t.running(L)
	if err := t.stop(); err != nil {
		t.raise(L, err)
	}
	t.settle(L)
	return 0
}

// running returns the gateway, which must have been started.
func (t *test) running(L *lua.LState) *gateway {
	if t.gateway == nil {
		t.raise(L, errNotStarted)
	}
	return t.gateway
}

// connectOptions are the options of t:connect.
var connectOptions = []string{"client", "to", "tls"}

func tConnect(t *test, L *lua.LState) int {
	p := t.dial(L, argOptions(L, 2, connectOptions...))
	t.settle(L)
	return give(L, p.object)
}

// dial connects as a client.
func (t *test) dial(L *lua.LState, o options) *peer {
	g := t.running(L)
	from, to := o.client(), g.listen
	to.AddrPort = o.address("to", to.AddrPort)
	if t.serverAt(g.server) == nil && !g.http {
		if _, err := t.listen(place{AddrPort: g.server}, nil); err != nil {
			t.raise(L, err)
		}
	}
	socket, err := t.machine.Dial(from, to)
	if err != nil {
		t.fail(L, "%s cannot connect to %s: %v", from, to, err)
	}
	p := t.addPeer(socket, connClass)
	if secured := o.sub("tls", "sni", "alpn"); secured.table != nil {
		p.tls = encryptClient(secured.text("sni"), secured.texts("alpn"))
		p.sendEncrypted()
	}
	return p
}

// client returns the address of the client, whose port may be missing.
func (o options) client() netip.AddrPort {
	text := o.text("client")
	setDefault(&text, defaultClient)
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(addr, 0)
	}
	return o.address("client", netip.AddrPort{})
}

var serverMethods = []binding{
	{
		"server", tServer, "(address: string, reply?: fun(peer: peer, data: string): string?) -> server",
		"Plays a server at an address such as `\"10.0.0.9:7000\"`, or with TLS at `\"tls://10.0.0.9:7000\"`, for the script to connect to, " +
			"or in place of the one that connections go to. `reply` is called with what has come; what it returns is sent.",
	},
	{
		"http", tHTTP, "(address: string, reply: string|table|fun(request: table, peer: peer): string|table|nil) -> server",
		"Plays a server of HTTP, see [servers](#servers). The response is a string, a table such as `{ status = 403, headers = { … }, body = \"…\" }`, or " +
			"what a function returns for a request: `nil` is no answer.",
	},
	{
		"fail", tFail, "(target: string, code: string, on?: string)",
		"Has operations on a file, or on all beneath a directory, fail: `t:fail(\"var/x\", \"ENOSPC\", \"write\")`, with `on` only those of " +
			"that kind; or has connecting to an address fail: `t:fail(\"10.0.0.9:443\", \"ECONNREFUSED\")`, and with the code `\"timeout\"` never be answered. See [errors](#errors).",
	},
	{"mend", tMend, "(target: string)", "Ends what `t:fail` has begun."},
	{
		"authority", tAuthority, "() -> string",
		"The certificate (PEM) that those of the servers with TLS are signed by. A script trusts it as it does those of the system; " +
			"one that wants a file of its own, the option `ca`, gets it there: `t:write(\"certs/ca.pem\", t:authority())`.",
	},
}

// argPlace returns an argument that is where a server is.
func argPlace(L *lua.LState, n int) place {
	at, err := parsePlace(argString(L, n))
	if err != nil {
		L.ArgError(n, err.Error())
	}
	return at
}

func tServer(t *test, L *lua.LState) int {
	var serve func(*peer)
	if L.Get(3) != lua.LNil {
		serve = answerWith(L.CheckFunction(3))
	}
	s, err := t.listen(argPlace(L, 2), serve)
	if err != nil {
		t.raise(L, err)
	}
	return give(L, s.object)
}

func tHTTP(t *test, L *lua.LState) int {
	at, reply := argPlace(L, 2), L.Get(3)
	if reply.Type() != lua.LTFunction {
		if _, err := parseResponse(reply); err != nil {
			L.ArgError(3, err.Error())
		}
	}
	s, err := t.listen(at, answerHTTP(reply))
	if err != nil {
		t.raise(L, err)
	}
	s.requests = L.NewTable()
	return give(L, s.object)
}

func tAuthority(t *test, L *lua.LState) int {
	a, err := theAuthority()
	if err != nil {
		t.raise(L, err)
	}
	return give(L, lua.LString(a.pem))
}

// argServer returns the server that a method is called on.
func argServer(L *lua.LState) *server { return argObject[*server](L, 1, "server") }

var serverFields = []binding{
	{"count", func(_ *test, L *lua.LState) int { return give(L, lua.LNumber(argServer(L).count)) }, "integer", "How many connections it has accepted."},
	{
		"requests", func(_ *test, L *lua.LState) int {
			if requests := argServer(L).requests; requests != nil {
				return give(L, requests)
			}
			return give(L, lua.LNil)
		}, "table[]?", "The requests that a server of HTTP has had: `method`, `target`, `host`, `headers` as those of an [exchange](#requests), and `body`.",
	},
}

var serverObjectMethods = []binding{
	{
		"accept", serverAccept, "() -> peer",
		"The next connection that has come and was not returned before. If there is none the test fails.",
	},
	{"close", serverClose, "()", "Ends the server: whoever connects is refused. Connections go on."},
}

func serverAccept(t *test, L *lua.LState) int {
	s := argServer(L)
	t.settle(L)
	if len(s.accepted) == 0 {
		t.fail(L, "nobody has connected to %s%s", s, t.waits())
	}
	p := s.accepted[0]
	s.accepted = slices.Delete(s.accepted, 0, 1)
	return give(L, p.object)
}

func serverClose(t *test, L *lua.LState) int {
	s := argServer(L)
	if i := slices.Index(t.servers, s); i >= 0 {
		t.servers = slices.Delete(t.servers, i, i+1)
		s.listener.Close()
	}
	t.settle(L)
	return 0
}
