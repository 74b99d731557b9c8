package scripting

import (
	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
)

// fwxFunctions are the functions of the module itself.
var fwxFunctions = []binding{
	{"deny", deny},
	{"sleep", sleep},
	{"after", after},
	{"every", every},
	{"now", now},
	{"clock", clock},
}

// fwxModules are the tables of functions in the module.
var fwxModules = []struct {
	name      string
	functions []binding
}{
	{"file", fileFunctions},
	{"log", logFunctions},
	{"json", jsonFunctions},
	{"ip", ipFunctions},
}

// openModule makes what require "fwx" returns, and the classes of its objects.
func (s *state) openModule() {
	s.openTypes()
	s.module = s.table(fwxFunctions...)
	for _, m := range fwxModules {
		s.module.RawSetString(m.name, s.table(m.functions...))
	}
	s.drop = s.object(s.types.verdict, drop{})
	s.null = s.object(s.types.verdict, null{})
	s.module.RawSetString("drop", s.drop)
	if t, ok := s.module.RawGetString("json").(*lua.LTable); ok {
		t.RawSetString("null", s.null)
	}
	s.module.RawSetString("firewall", s.object(s.types.firewall, firewall{}))
	for _, dir := range []framework.Direction{framework.Upstream, framework.Downstream} {
		s.direction[dir] = lua.LString(dir.String())
	}
}

func (s *state) openTypes() {
	s.types = types{
		conn:       s.connClass(),
		session:    s.class("session", sessionMethods),
		chunk:      s.class("chunk", chunkMethods, chunkMeta...),
		file:       s.class("file", fileMethods, binding{"__tostring", fileToString}),
		timer:      s.class("timer", timerMethods),
		watch:      s.class("watch", watchMethods),
		set:        s.class("ip set", setMethods, binding{"__len", setLen}),
		firewall:   s.class("fwx.firewall", firewallMethods),
		handle:     s.class("handle", handleMethods),
		overlapped: s.class("overlapped", overlappedMethods),
		started:    s.class("overlapped", startedMethods),
		verdict:    s.class("verdict", nil, binding{"__tostring", verdictToString}),
	}
}

// deny returns the verdict that refuses a connection.
func deny(s *state, L *lua.LState) int {
	reason := "denied by the script"
	if L.Get(1) != lua.LNil {
		reason = argString(L, 1)
	}
	return give(L, s.object(s.types.verdict, &denial{reason}))
}

func verdictToString(_ *state, L *lua.LState) int {
	switch v := userValue(L.Get(1)).(type) {
	case *denial:
		return give(L, lua.LString("deny: "+v.reason))
	case null:
		return give(L, lua.LString("null"))
	}
	return give(L, lua.LString("drop"))
}
