package scripting

import (
	lua "github.com/yuin/gopher-lua"
)

// maxArray is up to which index a table of Lua is an array. The interpreter fills
// the holes of an array, so that t[60000000] = true takes a gigabyte; beyond this
// index it takes one entry.
const maxArray = 4 << 20

func init() { lua.MaxArrayIndex = maxArray } // a variable of the whole program, set before anything runs

// allowed is what scripts have of Lua's libraries, and nothing else: a list of
// what is taken away would miss what the next version adds.
var allowed = map[string][]string{
	"": {
		"_G", "_VERSION", "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget",
		"rawset", "select", "setmetatable", "tonumber", "tostring", "type", "unpack", "xpcall",
	},
	lua.TabLibName:       {"concat", "getn", "insert", "maxn", "remove", "sort"},
	lua.StringLibName:    {"byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "rep", "reverse", "sub", "upper"},
	lua.MathLibName:      {"abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "cosh", "deg", "exp", "floor", "fmod", "frexp", "huge", "ldexp", "log", "log10", "max", "min", "mod", "modf", "pi", "pow", "rad", "random", "randomseed", "sin", "sinh", "sqrt", "tan", "tanh"},
	lua.OsLibName:        {"clock", "date", "time"},
	lua.CoroutineLibName: {"create", "resume", "running", "status", "wrap", "yield"},
}

// libraries are the libraries of Lua that are opened.
var libraries = []struct {
	name string
	open lua.LGFunction
}{
	{lua.BaseLibName, lua.OpenBase},
	{lua.TabLibName, lua.OpenTable},
	{lua.StringLibName, lua.OpenString},
	{lua.MathLibName, lua.OpenMath},
	{lua.OsLibName, lua.OpenOs},
	{lua.CoroutineLibName, lua.OpenCoroutine},
}

// openLibraries opens Lua's libraries, takes away what is not allowed, and puts
// the guarded functions in place of those that are dangerous.
func (s *state) openLibraries() {
	for _, l := range libraries {
		s.L.Push(s.L.NewFunction(l.open))
		s.L.Push(lua.LString(l.name))
		s.L.Call(1, 0)
	}
	globals := s.L.G.Global
	for name, functions := range allowed {
		table := globals
		if name != "" {
			table, _ = globals.RawGetString(name).(*lua.LTable)
			functions = append([]string{}, functions...)
		}
		keep(table, functions)
	}
	s.install(globals, binding{name: "require", call: require}, binding{name: "print", call: logPrint}, binding{name: "unpack", call: unpack})
	s.install(globals, protectedFunctions...)
	s.openTraversals(globals)
	s.install(globals, s.guardRaw(globals)...)
	s.array = s.L.CreateTable(0, 1)
	s.array.RawSetString("__metatable", lua.LString("array"))
	s.handleError = s.function(binding{name: "pcall", call: handled})
	s.failing = s.L.NewFunction(func(L *lua.LState) int { L.RaiseError("it fails"); return 0 })
	s.guardLibraries(globals)
}

// keep removes from a table all but the given names and the libraries.
func keep(table *lua.LTable, names []string) {
	known := make(map[string]bool)
	for _, name := range names {
		known[name] = true
	}
	var gone []lua.LValue
	table.ForEach(func(key, value lua.LValue) {
		name := key.String()
		if _, library := allowed[name]; known[name] || library && value.Type() == lua.LTTable {
			return
		}
		gone = append(gone, key)
	})
	for _, key := range gone {
		table.RawSet(key, lua.LNil)
	}
}

// install puts functions of the host into a table of Lua.
func (s *state) install(table *lua.LTable, bindings ...binding) {
	for _, b := range bindings {
		table.RawSetString(b.name, s.function(b))
	}
}

// guardLibraries replaces the functions that could take any amount of time or
// memory in one instruction, or lead around the budget.
func (s *state) guardLibraries(globals *lua.LTable) {
	if original, ok := globals.RawGetString("select").(*lua.LFunction); ok {
		s.install(globals, guardSelect(original.GFunction))
	}
	if original, ok := globals.RawGetString("setmetatable").(*lua.LFunction); ok {
		s.install(globals, guardSetMetatable(original.GFunction))
	}
	if library, ok := globals.RawGetString(lua.StringLibName).(*lua.LTable); ok {
		s.install(library, stringFunctions...)
		s.install(library, patternFunctions...)
	}
	if library, ok := globals.RawGetString(lua.TabLibName).(*lua.LTable); ok {
		s.install(library, tableFunctions...)
		if sort, ok := library.RawGetString("sort").(*lua.LFunction); ok {
			s.install(library, guardSort(sort.GFunction))
		}
	}
	s.install(globals, numberFunctions...)
	if library, ok := globals.RawGetString(lua.MathLibName).(*lua.LTable); ok {
		s.guardMath(library)
	}
	if library, ok := globals.RawGetString(lua.OsLibName).(*lua.LTable); ok {
		s.guardTime(library)
	}
	s.guardCoroutines(globals)
	// Strings get their methods from the library as it is now; the library itself
	// was their metatable.
	s.methods = s.L.NewTable()
	s.methods.RawSetString("__index", globals.RawGetString(lua.StringLibName))
	s.methods.RawSetString("__metatable", lua.LString("string"))
	s.install(s.methods, stringArithmetic...)
	s.L.SetMetatable(lua.LString(""), s.methods)
}

// guardSetMetatable returns the setmetatable of the library, for tables only: it would
// change those of all numbers.
func guardSetMetatable(original lua.LGFunction) binding {
	return binding{name: "setmetatable", call: func(_ *state, L *lua.LState) int {
		L.CheckTable(1)
		return original(L)
	}}
}
