package scripting

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"
)

// prototype is compiled code. It is never changed, so that all workers share it.
type prototype = lua.FunctionProto

// program is the code of a script and of the modules that it requires, each
// compiled once for all workers.
type program struct {
	path   string // of the script, as the settings spell it
	folder string // what modules are looked for beneath
	main   *prototype

	mu      sync.Mutex
	modules map[string]*prototype // by path beneath the folder
}

func newProgram(s Settings, main *prototype) *program {
	return &program{
		path:    s.Script,
		folder:  filepath.Join(s.Dir, filepath.Dir(s.Script)),
		main:    main,
		modules: make(map[string]*prototype),
	}
}

// module returns a module that has been compiled already, or nil.
func (p *program) module(path string) *prototype {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.modules[path]
}

// addModule compiles a module, and returns the one there is if another worker
// was faster.
func (p *program) addModule(path string, source []byte) (*prototype, error) {
	proto, err := compile(filepath.Join(filepath.Dir(p.path), path), source)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if first := p.modules[path]; first != nil {
		return first, nil
	}
	p.modules[path] = proto
	return proto, nil
}

// compile compiles the text of a script; name is its path in errors.
func compile(name string, source []byte) (*prototype, error) {
	chunk, err := parse.Parse(bytes.NewReader(skipHashbang(source)), name)
	if err != nil {
		return nil, syntaxError(name, err)
	}
	proto, err := lua.Compile(guardConcats(chunk), name)
	if err != nil {
		return nil, syntaxError(name, err)
	}
	return proto, nil
}

// skipHashbang blanks a first line that begins with "#", as the lua program does.
func skipHashbang(source []byte) []byte {
	if !bytes.HasPrefix(source, []byte("#")) {
		return source
	}
	_, rest, _ := bytes.Cut(source, []byte("\n"))
	return append([]byte("\n"), rest...)
}

// syntaxError puts the compiler's errors into the form "script:line: message".
func syntaxError(name string, err error) error {
	if syntax, ok := errors.AsType[*parse.Error](err); ok {
		message := strings.TrimSpace(syntax.Message)
		if syntax.Pos.Line < 0 {
			return fmt.Errorf("%s: %s at the end of the script", name, message)
		}
		return fmt.Errorf("%s:%d: %s near %q", name, syntax.Pos.Line, message, syntax.Token)
	}
	if compile, ok := errors.AsType[*lua.CompileError](err); ok {
		return fmt.Errorf("%s:%d: %s", name, compile.Line, compile.Message)
	}
	return fmt.Errorf("%s: %w", name, err)
}
