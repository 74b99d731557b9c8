package scripting

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/strict"
)

// moduleName is the name by which scripts require the functions of the host.
const moduleName = "fwx"

// require returns a module: "fwx", or a script beneath the folder of the main
// script, "a.b" being a/b.lua there. Each is run once in a state.
func require(s *state, L *lua.LState) int {
	name := argString(L, 1)
	if name == moduleName {
		return give(L, s.module)
	}
	path := strings.ReplaceAll(name, ".", "/") + ".lua"
	if !filepath.IsLocal(path) || strings.ContainsAny(name, `/\`) {
		L.RaiseError("module %q: wants a name such as \"lib.parser\", for lib/parser.lua beside the script%s", name,
			strict.Suggest(name, []string{moduleName}))
	}
	return give(L, s.loadModule(L, name, path))
}

// module is a script that has been required in a state.
type module struct {
	value  lua.LValue // what it returned; nil: it still runs
	loader *fiber     // on which it does
}

const (
	modulePause = time.Millisecond // between looks at a module that another handler loads
	moduleLimit = 10 * time.Second // of waiting for it
)

// loadModule runs a module, or waits for the handler that does. One that fails
// is run again the next time.
func (s *state) loadModule(L *lua.LState, name, path string) lua.LValue {
	m := s.modules[path]
	for begin := s.worker.Now(); m != nil && m.value == nil; m = s.modules[path] {
		switch {
		case m.loader == s.running:
			L.RaiseError("module %q requires itself", name)
		case s.worker.Now()-begin > moduleLimit:
			L.RaiseError("module %q: another handler has not loaded it within %v", name, moduleLimit)
		}
		f := s.startSleep(L, modulePause)
		f.park()
		f.raiseInterrupted(L)
	}
	if m != nil {
		return m.value
	}
	m = &module{loader: s.running}
	s.modules[path] = m
	defer func() {
		if m.value == nil { // it has raised an error
			delete(s.modules, path)
		}
	}()
	m.value = s.runModule(L, name, path)
	return m.value
}

func (s *state) runModule(L *lua.LState, name, path string) lua.LValue {
	proto := s.filter.program.module(path)
	if proto == nil {
		var err error
		if proto, err = s.compileModule(L, path); err != nil {
			L.RaiseError("module %q: %s", name, err.Error())
		}
	}
	L.Push(s.instantiate(proto))
	L.Push(lua.LString(name))
	L.Call(1, 1)
	value := L.Get(-1)
	L.Pop(1)
	if value == lua.LNil {
		return lua.LTrue
	}
	return value
}

// compileModule reads and compiles a module on a thread of the port's pool.
func (s *state) compileModule(L *lua.LState, path string) (*prototype, error) {
	p := s.filter.program
	value, err := s.block(L, func() (any, error) {
		source, err := readModule(p.folder, path)
		if err != nil {
			p.missModule(path)
			return nil, err
		}
		return p.addModule(path, source)
	})
	if err != nil {
		return nil, err
	}
	proto, ok := value.(*prototype)
	if !ok {
		return nil, fmt.Errorf("%s: nothing was compiled", path)
	}
	return proto, nil
}

func readModule(folder, path string) ([]byte, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close() //nolint:errcheck // It was only read.
	f, err := root.Open(path)
	if err != nil {
		return nil, explain("open", path, err)
	}
	defer f.Close() //nolint:errcheck // It was only read.
	return io.ReadAll(f)
}
