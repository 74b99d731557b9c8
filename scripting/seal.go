package scripting

import (
	lua "github.com/yuin/gopher-lua"
)

// All handlers see the same globals and the same libraries. What one of them sets there,
// perhaps because somebody forgot to make it local, would lead from one connection to
// another; so these tables are sealed once the script and its on_init have run. The
// content of a sealed table moves to one that the script cannot reach, and what is set is
// refused.

// seal is a table that is sealed.
type seal struct {
	name    string
	content *lua.LTable
}

// freeze seals the globals, the libraries and the module.
func (s *state) freeze() {
	s.sealed = make(map[*lua.LTable]seal)
	globals := s.L.G.Global
	for _, l := range libraries {
		if library, ok := globals.RawGetString(l.name).(*lua.LTable); ok && library != globals {
			s.seal(library, l.name)
		}
	}
	if library, ok := globals.RawGetString(lua.StringLibName).(*lua.LTable); ok {
		s.methods.RawSetString("__index", s.contentOf(library)) // without a way round
	}
	for _, l := range fwxModules {
		if table, ok := s.module.RawGetString(l.name).(*lua.LTable); ok {
			s.seal(table, "fwx."+l.name)
		}
	}
	s.seal(s.module, "fwx")
	s.seal(globals, globalsName)
}

// globalsName is what getmetatable calls the globals.
const globalsName = "globals"

// seal makes a table read-only. One that the script has put in the place of another, or
// has given a metatable, is as the script has it.
func (s *state) seal(t *lua.LTable, name string) {
	if _, ok := s.sealed[t]; ok || t.Metatable != lua.LNil && name != globalsName {
		return
	}
	content := s.L.CreateTable(0, 0)
	content.Metatable = t.Metatable
	t.ForEach(content.RawSet)
	content.ForEach(func(key, _ lua.LValue) { t.RawSet(key, lua.LNil) })
	s.sealed[t] = seal{name, content}
	meta := s.table(binding{name: "__newindex", call: func(s *state, L *lua.LState) int {
		s.refuseSealed(L, L.CheckTable(1), L.Get(2))
		return 0
	}})
	meta.RawSetString("__index", content)
	meta.RawSetString("__metatable", lua.LString(name))
	t.Metatable = meta
}

// refuseSealed raises an error about a field of a table that is to be set, if the table is
// sealed.
func (s *state) refuseSealed(L *lua.LState, t *lua.LTable, field lua.LValue) {
	sealed, ok := s.sealed[t]
	switch {
	case !ok:
	case sealed.name == globalsName:
		L.RaiseError("the global %q cannot be set by a handler, because all connections share it: "+
			"make it local, or keep it in conn.ctx", field.String())
	default:
		L.RaiseError("%s.%s cannot be set by a handler, because all connections share it: "+
			"set it while the script is loaded, or keep it in a local", sealed.name, field.String())
	}
}

// contentOf returns the table that holds what a table shows.
func (s *state) contentOf(t *lua.LTable) *lua.LTable {
	if sealed, ok := s.sealed[t]; ok {
		return sealed.content
	}
	return t
}

// guardRaw returns the functions that set and get without a metatable, which must not lead
// around a seal, and setmetatable, by which an array of JSON may become something else.
func (s *state) guardRaw(globals *lua.LTable) []binding {
	original := func(name string) lua.LGFunction { return globals.RawGetString(name).(*lua.LFunction).GFunction }
	rawset, setmetatable := original("rawset"), original("setmetatable")
	return []binding{
		{name: "rawset", call: func(s *state, L *lua.LState) int {
			s.refuseSealed(L, L.CheckTable(1), L.Get(2))
			return rawset(L)
		}},
		{name: "rawget", call: func(s *state, L *lua.LState) int {
			return give(L, s.contentOf(L.CheckTable(1)).RawGet(L.CheckAny(2)))
		}},
		{name: "setmetatable", call: func(s *state, L *lua.LState) int {
			if t := L.CheckTable(1); t.Metatable == s.array && (L.Get(2) == lua.LNil || L.Get(2).Type() == lua.LTTable) {
				t.Metatable = lua.LNil
			}
			return setmetatable(L)
		}},
	}
}
