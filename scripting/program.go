package scripting

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"

	"fwx/framework"
	"fwx/scripting/internal/syntax"
)

// prototype is compiled code. It is never changed, so that all workers share it.
type prototype = lua.FunctionProto

// program is the code of a script and of the modules that it requires, each
// compiled once for all workers.
type program struct {
	path   string // of the script, as the settings spell it
	folder string // what modules are looked for beneath
	main   *prototype
	last   int // line of it on which its last statement begins; 0: it is empty

	mu      sync.Mutex
	modules map[string]*prototype // by path beneath the folder
	files   []framework.File      // that have been read, whatever was found in them
}

// newProgram compiles the script itself.
func newProgram(s Settings) (*program, error) {
	p := &program{
		path:    s.Script,
		folder:  filepath.Join(s.Dir, filepath.Dir(s.Script)),
		modules: make(map[string]*prototype),
	}
	source := []byte(s.Source)
	if s.Source == "" {
		path := filepath.Join(s.Dir, s.Script)
		var err error
		if source, err = os.ReadFile(path); err != nil { //nolint:gosec // the operator says which file
			return nil, err
		}
		p.files = append(p.files, framework.File{Path: path, Sum: sha256.Sum256(source)})
	}
	main, err := compile(s.Script, source)
	p.main = main
	if statements, err := parse.Parse(bytes.NewReader(source), s.Script); err == nil && len(statements) > 0 {
		p.last = statements[len(statements)-1].Line()
	}
	return p, err
}

// read returns the files that have been read.
func (p *program) read() []framework.File {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.files)
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
	p.mu.Lock()
	defer p.mu.Unlock()
	if first := p.modules[path]; first != nil {
		return first, nil
	}
	p.note(path, sha256.Sum256(source))
	if err != nil {
		return nil, err
	}
	p.modules[path] = proto
	return proto, nil
}

// missModule notes a module that cannot be read: it may come to be there.
func (p *program) missModule(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.note(path, [sha256.Size]byte{})
}

// note notes what has been read of a module; the last time counts.
func (p *program) note(path string, sum [sha256.Size]byte) {
	file := framework.File{Path: filepath.Join(p.folder, path), Sum: sum}
	i := slices.IndexFunc(p.files, func(f framework.File) bool { return f.Path == file.Path })
	if i < 0 {
		p.files = append(p.files, file)
		return
	}
	p.files[i] = file
}

// place returns where a function begins; of what is none, where the script ends.
func (p *program) place(v lua.LValue) string {
	if f, ok := v.(*lua.LFunction); ok && !f.IsG {
		return fmt.Sprintf("%s:%d", f.Proto.SourceName, f.Proto.LineDefined)
	}
	return p.end()
}

// end returns where the script ends, which is where it returns its table.
func (p *program) end() string {
	if p.last == 0 {
		return p.path
	}
	return fmt.Sprintf("%s:%d", p.path, p.last)
}

// compile compiles the text of a script; name is its path in errors.
func compile(name string, source []byte) (*prototype, error) {
	return syntax.CompileGuarded(name, source)
}
