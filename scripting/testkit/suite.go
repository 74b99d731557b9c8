package testkit

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"fwx/scripting/internal/syntax"
)

// suite is a file of tests.
type suite struct {
	path   string
	script string // that is tested, unless a test says otherwise
	code   *lua.FunctionProto
	names  []string // of the tests, as they stand in the file
}

// load compiles a file and finds the tests in it.
func load(path string) (*suite, error) {
	source, err := os.ReadFile(path) //nolint:gosec // the caller says which file
	if err != nil {
		return nil, err
	}
	code, err := syntax.Compile(path, source)
	if err != nil {
		return nil, err
	}
	s := &suite{path: path, script: strings.TrimSuffix(path, suffix) + ".lua", code: code}
	L := newState(s, func(string) {})
	defer L.Close()
	tests, err := s.tests(L)
	if err != nil {
		return nil, err
	}
	if len(tests) == 0 {
		return nil, fmt.Errorf("%s has no tests", path)
	}
	for name := range tests {
		s.names = append(s.names, name)
	}
	slices.SortFunc(s.names, func(a, b string) int {
		return cmp.Or(cmp.Compare(lineOf(tests[a]), lineOf(tests[b])), cmp.Compare(a, b))
	})
	return s, nil
}

// beside returns the script that an option names, which is seen from the file of tests;
// without one it is the script that the file belongs to.
func (s *suite) beside(script string) string {
	switch {
	case script == "":
		return s.script
	case filepath.IsAbs(script):
		return script
	}
	return filepath.Join(filepath.Dir(s.path), script)
}

// lineOf returns where a function begins.
func lineOf(f *lua.LFunction) int {
	if f.IsG {
		return 0
	}
	return f.Proto.LineDefined
}

// tests runs the file in a state and returns the tests that it returned.
func (s *suite) tests(L *lua.LState) (map[string]*lua.LFunction, error) {
	L.Push(L.NewFunctionFromProto(s.code))
	if err := L.PCall(0, 1, nil); err != nil {
		return nil, errors.New(messageOf(err))
	}
	table, ok := L.Get(-1).(*lua.LTable)
	if !ok {
		return nil, fmt.Errorf("%s returned %s; it must return its table of tests", s.path, describe(L.Get(-1)))
	}
	L.Pop(1)
	tests := make(map[string]*lua.LFunction)
	var err error
	table.ForEach(func(key, value lua.LValue) {
		name, named := key.(lua.LString)
		f, callable := value.(*lua.LFunction)
		switch {
		case !named:
			err = fmt.Errorf("%s: a test has a name: T.name = function(t) … end", s.path)
		case !callable:
			err = fmt.Errorf("%s: %s is %s; a test is a function", s.path, name, describe(value))
		default:
			tests[string(name)] = f
		}
	})
	return tests, err
}

// newState returns a Lua state for tests. They are the developer's own, so they have
// all of Lua's libraries, but for what would end the program; print goes to the test.
func newState(s *suite, say func(string)) *lua.LState {
	L := lua.NewState(lua.Options{MinimizeStackMemory: true})
	if table, ok := L.GetGlobal("os").(*lua.LTable); ok {
		table.RawSetString("exit", lua.LNil)
	}
	L.SetGlobal("print", L.NewFunction(func(L *lua.LState) int {
		say(joined(L, 1))
		return 0
	}))
	if table, ok := L.GetGlobal("package").(*lua.LTable); ok {
		table.RawSetString("path", lua.LString(filepath.Join(filepath.Dir(s.path), "?.lua")))
	}
	openLoaders(L)
	L.PreloadModule("fwx", func(L *lua.LState) int {
		L.RaiseError(`a test has no "fwx": the script has, and the test drives it by the t that it is given`)
		return 0
	})
	return L
}

// joined returns the arguments from n on as print writes them.
func joined(L *lua.LState, n int) string {
	var parts []string
	for ; n <= L.GetTop(); n++ {
		parts = append(parts, L.ToStringMeta(L.Get(n)).String())
	}
	return strings.Join(parts, "\t")
}

// messageOf returns what was raised, without the traceback.
func messageOf(err error) string {
	raised, ok := errors.AsType[*lua.ApiError](err)
	if !ok {
		return err.Error()
	}
	if ud, ok := raised.Object.(*lua.LUserData); ok {
		if f, ok := ud.Value.(*failure); ok {
			return f.String()
		}
	}
	if raised.Object == lua.LNil {
		return "an error without a message"
	}
	return strings.TrimSpace(raised.Object.String())
}

// describe names the type of a value as an error should.
func describe(v lua.LValue) string {
	switch v.Type() {
	case lua.LTNil:
		return "nothing"
	case lua.LTUserData:
		return "an object"
	default:
		return "a " + v.Type().String()
	}
}
