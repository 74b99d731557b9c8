package scripting

import (
	"slices"
	"strconv"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
)

// moduleDoc is what editors say of the module.
const moduleDoc = "What fwx offers to scripts."

// fwxFunctions are the functions of the module itself.
var fwxFunctions = []binding{
	{
		"deny", deny, "(reason?: string) -> verdict",
		"The verdict that refuses a connection: `return fwx.deny(\"not you\")`.",
	},
	{"sleep", sleep, "(seconds: number)", "Waits. `fwx.sleep(0.2)`"},
	{"after", after, "(seconds: number, fn: fun()) -> timer", "Calls `fn` once, later. `fwx.after(5, reload)`"},
	{
		"every", every, "(seconds: number, fn: fun()) -> timer",
		"Calls `fn` again and again, at most once a millisecond; a call is left out while the one before it still runs. " +
			"`fwx.every(60, report)`",
	},
	{
		"timeout", timeout, "(seconds: number, fn: fun(...: any), ...: any) -> ...: any or fail",
		"Waits. Calls `fn(...)` and returns what that returns. When the time is up, the call in which `fn` waits raises an error, " +
			"and with it `fn` ends; then it fails with `\"timeout\"`. See [time limits](#time-limits): `fwx.timeout(0.5, fwx.file.read, path)`.",
	},
	{
		"respond", respond, "(status: integer, headers?: table<string, bytes|number|string[]>, body?: bytes|file) -> verdict",
		"The verdict that answers a request in the server's place: `return fwx.respond(403, {[\"Content-Type\"] = \"text/plain\"}, \"no\\n\")`. " +
			"For the headers see [tables of headers](#tables-of-headers). " +
			"A file that is open for reading is sent from the disk as fast as the client takes it, and closed; with status 200 " +
			"[as HTTP has it](http.md#files-as-answers): the part that `Range` asks for, or 304 if the client has it.",
	},
	connectBinding,
	{"now", now, "() -> number", "Seconds since 1970, with a fraction."},
	{"clock", clock, "() -> number", "Seconds since the gateway began; they never go backwards."},
	{
		"env", env, "(name: string) -> string? or fail",
		"A variable of the environment that `env` in `[filter.allow]` lists: `env = [\"API_KEY\"]`; `nil` if it is not set.",
	},
}

// fwxFields are the values in the module, made once.
var fwxFields = []binding{
	{
		"drop", func(s *state, L *lua.LState) int { return give(L, s.drop) }, "verdict",
		"The verdict by which a chunk goes no further. A value, not a function: `return fwx.drop`.",
	},
	{
		"firewall", func(s *state, L *lua.LState) int { return give(L, s.object(s.types.firewall, firewall{})) }, "firewall",
		"The completion port in the shape of the filter SDK.",
	},
}

// library is a table of the module; the one without a name is the module itself.
type library struct {
	name      string
	functions []binding
	fields    []binding
}

var fwxModules = []library{
	{"", fwxFunctions, fwxFields},
	{"file", fileFunctions, nil},
	{"log", logFunctions, nil},
	{"json", jsonFunctions, jsonFields},
	{"ip", ipFunctions, nil},
	{"shared", sharedFunctions, nil},
	{"metrics", metricsFunctions, nil},
	{"dns", dnsFunctions, nil},
	{"http", httpFunctions, nil},
	{"frame", frameFunctions, nil},
	{"list", listFunctions, nil},
	{"bytes", bytesFunctions, nil},
	{"re", reFunctions, nil},
	{"base64", base64Functions, nil},
	{"hex", hexFunctions, nil},
	{"hash", hashFunctions, nil},
	{"hmac", hmacFunctions, nil},
	{"url", urlFunctions, nil},
	{"random", randomFunctions, nil},
	{"time", timeFunctions, nil},
	{"bit", bitFunctions, nil},
}

// classes are those of all objects.
var classes = []class{
	{
		name: "conn", doc: "A connection. Its fields cannot be set; they can be read as long as the script keeps the object.",
		fields: connFields, methods: connMethods, meta: connMeta,
		place: func(t *types) **lua.LTable { return &t.conn },
	},
	{
		name: "expected", doc: "A connection that `conn:expect` waits for. It is over when the connection has come, when its " +
			"time is up, and when the connection that it was expected in ends.",
		fields: expectedFields, methods: expectedMethods, place: func(t *types) **lua.LTable { return &t.expected },
	},
	{
		name: "hello", doc: "What a client offers that begins TLS, as it has sent it, reserved numbers (GREASE) included.",
		fields: helloFields, place: func(t *types) **lua.LTable { return &t.hello },
	},
	{
		name: "tls", doc: "TLS with the client of a connection.",
		fields: tlsFields, place: func(t *types) **lua.LTable { return &t.tls },
	},
	{
		name: "session", doc: "What all connections of a client address share.",
		methods: sessionMethods, place: func(t *types) **lua.LTable { return &t.session },
	},
	{
		name: "chunk", doc: "A view of data that was received, valid until its `on_data` returns.",
		methods: chunkMethods, meta: chunkMeta, place: func(t *types) **lua.LTable { return &t.chunk },
	},
	{
		name: "spooled", doc: "The body of a request on the disk, see `req:whole_body`; valid until its `on_request_body` returns.",
		methods: spooledMethods, meta: spooledMeta, place: func(t *types) **lua.LTable { return &t.spooled },
	},
	{
		name: "verdict", doc: "The answer of a handler.",
		meta: []binding{{"__tostring", verdictToString, "", ""}}, place: func(t *types) **lua.LTable { return &t.verdict },
	},
	{
		name: "file", doc: "An open file.",
		methods: fileMethods, meta: []binding{{"__tostring", fileToString, "", ""}},
		place: func(t *types) **lua.LTable { return &t.file },
	},
	{
		name: "timer", doc: "What `fwx.after` or `fwx.every` has begun.",
		methods: timerMethods, place: func(t *types) **lua.LTable { return &t.timer },
	},
	{
		name: "watch", doc: "What `fwx.file.watch` has begun.",
		methods: watchMethods, place: func(t *types) **lua.LTable { return &t.watch },
	},
	{
		name: "set", doc: "A set of addresses and networks.",
		methods: setMethods, meta: setMeta, place: func(t *types) **lua.LTable { return &t.set },
	},
	{
		name: "socket", doc: "A connection to a server.",
		methods: socketMethods, meta: []binding{{"__tostring", socketToString, "", ""}},
		place: func(t *types) **lua.LTable { return &t.socket },
	},
	{
		name: "headers", doc: "The headers of a message.",
		methods: headersMethods, place: func(t *types) **lua.LTable { return &t.headers },
	},
	{
		name: "request", doc: "A request, valid until it has been answered.",
		fields: requestFields, methods: messageMethods, meta: requestMeta,
		place: func(t *types) **lua.LTable { return &t.request },
	},
	{
		name: "response", doc: "The response to a request, valid as long as that.",
		fields: responseFields, methods: messageMethods, meta: responseMeta,
		place: func(t *types) **lua.LTable { return &t.response },
	},
	{
		name: "re", doc: "A compiled expression.",
		methods: reMethods, meta: reMeta, place: func(t *types) **lua.LTable { return &t.re },
	},
	{
		name: "list", doc: "A file of entries, and what they are now.",
		methods: listMethods, meta: listMeta, place: func(t *types) **lua.LTable { return &t.list },
	},
	{
		name: "counter", doc: "A metric that only grows.",
		methods: counterMethods, place: func(t *types) **lua.LTable { return &t.counter },
	},
	{
		name: "gauge", doc: "A metric that rises and falls.",
		methods: gaugeMethods, place: func(t *types) **lua.LTable { return &t.gauge },
	},
	{
		name: "histogram", doc: "A metric that counts values by their size.",
		methods: histogramMethods, place: func(t *types) **lua.LTable { return &t.histogram },
	},
	{
		name: "firewall", doc: "The completion port.",
		methods: firewallMethods, place: func(t *types) **lua.LTable { return &t.firewall },
	},
	{
		name: "handle", doc: "An open file, hooked to the completion port.",
		methods: handleMethods, place: func(t *types) **lua.LTable { return &t.handle },
	},
	{
		name: "overlapped", doc: "One operation at a time.",
		methods: overlappedMethods, place: func(t *types) **lua.LTable { return &t.overlapped },
	},
	{
		name: "OVERLAPPED", doc: "An overlapped that is ready for an operation, which is started with it.",
		methods: startedMethods, place: func(t *types) **lua.LTable { return &t.started },
	},
}

// openModule makes what require "fwx" returns, and the classes of its objects.
func (s *state) openModule() {
	for _, c := range classes {
		*c.place(&s.types) = s.metatable(c)
	}
	s.drop = s.object(s.types.verdict, drop{})
	s.null = s.object(s.types.verdict, null{})
	s.module = s.L.NewTable()
	for _, l := range fwxModules {
		table := s.module
		if l.name != "" {
			table = s.L.NewTable()
			s.module.RawSetString(l.name, table)
		}
		s.install(table, l.functions...)
		for _, f := range l.fields {
			f.call(s, s.L)
			table.RawSetString(f.name, s.L.Get(-1))
			s.L.Pop(1)
		}
	}
	s.reload = s.function(binding{name: "fwx.list", call: listReload})
	s.reopenLog = s.function(binding{name: "fwx.file", call: reopenLog})
	s.streamEnded = s.function(binding{name: handlerEnd, call: streamEnded})
	for _, dir := range []framework.Direction{framework.Upstream, framework.Downstream} {
		s.direction[dir] = lua.LString(dir.String())
	}
}

// env returns a variable of the environment.
func env(s *state, L *lua.LState) int {
	name := argString(L, 1)
	if !slices.Contains(s.filter.settings.Allow.Env, name) {
		return giveError(L, s.filter.access.denied("see the variable", name, "env"))
	}
	value, ok := s.filter.settings.System.LookupEnv(name)
	if !ok {
		return give(L, lua.LNil)
	}
	return give(L, lua.LString(value))
}

// deny returns the verdict that refuses a connection.
func deny(s *state, L *lua.LState) int {
	reason := "denied by the script"
	if L.Get(1) != lua.LNil {
		reason = cut(argString(L, 1)) // it is logged
	}
	return give(L, s.object(s.types.verdict, &denial{reason}))
}

func verdictToString(_ *state, L *lua.LState) int {
	switch v := userValue(L.Get(1)).(type) {
	case *denial:
		return give(L, lua.LString("deny: "+v.reason))
	case *reply:
		return give(L, lua.LString("respond: "+strconv.Itoa(v.status)))
	case null:
		return give(L, lua.LString("null"))
	}
	return give(L, lua.LString("drop"))
}
