package testkit

import (
	"os"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"fwx/scripting/internal/syntax"
)

// openLoaders replaces the functions of Lua's libraries that compile: scripts are compiled in
// one way everywhere.
func openLoaders(L *lua.LState) {
	for name, load := range map[string]lua.LGFunction{
		"loadstring": loadString, "load": loadPieces, "loadfile": loadFile, "dofile": doFile,
	} {
		L.SetGlobal(name, L.NewFunction(load))
	}
	const forFiles = 2 // of package.loaders
	if library, ok := L.GetGlobal("package").(*lua.LTable); ok {
		if loaders, ok := library.RawGetString("loaders").(*lua.LTable); ok {
			loaders.RawSetInt(forFiles, L.NewFunction(findModule))
		}
	}
}

// giveCompiled returns a compiled function, or nil and what is wrong.
func giveCompiled(L *lua.LState, name string, source []byte) int {
	proto, err := syntax.Compile(name, source)
	if err != nil {
		return giveFailure(L, err)
	}
	L.Push(L.NewFunctionFromProto(proto))
	return 1
}

func giveFailure(L *lua.LState, err error) int {
	L.Push(lua.LNil)
	L.Push(lua.LString(err.Error()))
	return 2
}

func loadString(L *lua.LState) int {
	return giveCompiled(L, L.OptString(2, "<string>"), []byte(L.CheckString(1)))
}

func loadPieces(L *lua.LState) int {
	var source []byte
	for {
		L.Push(L.CheckFunction(1))
		L.Call(0, 1)
		piece := L.Get(-1)
		L.Pop(1)
		if piece == lua.LNil || piece == lua.LString("") {
			return giveCompiled(L, L.OptString(2, "?"), source)
		}
		if !lua.LVCanConvToString(piece) {
			L.RaiseError("reader function must return a string")
		}
		source = append(source, piece.String()...)
	}
}

func loadFile(L *lua.LState) int {
	path := L.CheckString(1)
	source, err := os.ReadFile(path) //nolint:gosec // the test says which file
	if err != nil {
		return giveFailure(L, err)
	}
	return giveCompiled(L, path, source)
}

func doFile(L *lua.LState) int {
	top := L.GetTop()
	if loadFile(L) > 1 {
		L.RaiseError("%s", L.Get(-1).String())
	}
	L.Call(0, lua.MultRet)
	return L.GetTop() - top
}

// findModule is the loader of require: it looks for a file in package.path.
func findModule(L *lua.LState) int {
	name, path := L.CheckString(1), ""
	if library, ok := L.GetGlobal("package").(*lua.LTable); ok {
		path = library.RawGetString("path").String()
	}
	var tried strings.Builder
	for pattern := range strings.SplitSeq(path, ";") {
		file := strings.ReplaceAll(pattern, "?", strings.ReplaceAll(name, ".", string(os.PathSeparator)))
		source, err := os.ReadFile(file) //nolint:gosec // the test says which file
		if err != nil {
			tried.WriteString("\n\t" + err.Error())
			continue
		}
		if giveCompiled(L, file, source) > 1 {
			L.RaiseError("%s", L.Get(-1).String())
		}
		return 1
	}
	L.Push(lua.LString(tried.String()))
	return 1
}
