package scripting

import (
	"fmt"
	"os"
	"path/filepath"

	"fwx/framework"
	"fwx/framework/strict"
)

// Settings are what a filter of kind "lua" is made from.
type Settings struct {
	// Name is what logs and errors call the filter; empty: the script's path.
	Name string
	// Script is the path of the script, relative to Dir.
	Script string
	// Source is the text of the script, for a host program that has it at hand;
	// Script then only names it in errors. Empty: the file is read.
	Source string
	// OnError says what becomes of a connection one of whose handlers fails:
	// OnErrorClose (or empty) or OnErrorPass.
	OnError string
	// Allow is which files the script may open.
	Allow Allow
	// Budget is how many instructions a handler may run without letting others
	// run; 0 means DefaultBudget.
	Budget int64
	// Config is handed to on_init as a table: strings, numbers, booleans, times,
	// []any and map[string]any.
	Config map[string]any
	// Dir is the directory that Script and the entries of Allow start from;
	// empty: the working directory.
	Dir string
}

// Allow lists files, and directories with everything in them, that a script may
// open. Paths are relative and do not lead out of the directory they start from.
type Allow struct {
	Read  []string `toml:"read"`
	Write []string `toml:"write"`
}

// What becomes of a connection when a handler fails.
const (
	OnErrorClose = "close" // it ends, as Failed
	OnErrorPass  = "pass"  // it goes on as if the handler had returned nil
)

// DefaultBudget is the instructions that a handler may run at a stretch: on
// current machines about a tenth of a second, which is what the other
// connections of the worker then wait.
const DefaultBudget = 10_000_000

// tableSettings are the settings in a configuration file.
type tableSettings struct {
	Script  string       `toml:"script,required"`
	OnError string       `toml:"on_error"`
	Allow   Allow        `toml:"allow"`
	Budget  int64        `toml:"budget"`
	Config  strict.Table `toml:"config"`
}

// settingError is a mistake at one of the settings.
type settingError struct {
	key string
	err error
}

func (e *settingError) Error() string { return e.key + ": " + e.err.Error() }

func (e *settingError) Unwrap() error { return e.err }

// Factory returns the filter kind "lua".
func Factory() framework.Factory {
	return framework.Factory{
		Kind:     "lua",
		Summary:  "runs a Lua script that sees connections and their data",
		Settings: func() any { return &tableSettings{OnError: OnErrorClose, Budget: DefaultBudget} },
		New:      newFromTable,
	}
}

func newFromTable(config framework.FilterConfig, settings any) (framework.Filter, error) {
	t, ok := settings.(*tableSettings)
	if !ok {
		return nil, fmt.Errorf("settings of type %T", settings)
	}
	f, errs := newFilter(Settings{
		Name: config.Name, Script: t.Script, OnError: t.OnError, Allow: t.Allow,
		Budget: t.Budget, Config: t.Config.Map(), Dir: config.Dir,
	})
	if len(errs) == 0 {
		return f, nil
	}
	var mistakes strict.Errors
	for _, e := range errs {
		mistakes.Add(config.Errorf(e.key, "%v", e.err))
	}
	return nil, mistakes.Err()
}

// New makes a filter from a script. It compiles the script and checks the
// settings, and opens and starts nothing.
func New(settings Settings) (framework.Filter, error) {
	f, errs := newFilter(settings)
	if len(errs) == 0 {
		return f, nil
	}
	return nil, fmt.Errorf("filter %q: %w", settings.Name, errs[0])
}

// newFilter returns all that is wrong with the settings.
func newFilter(s Settings) (*filter, []*settingError) {
	if s.Budget == 0 {
		s.Budget = DefaultBudget
	}
	if s.OnError == "" {
		s.OnError = OnErrorClose
	}
	if s.Name == "" {
		s.Name = s.Script
	}
	errs := s.check()
	main, err := compileMain(s)
	if err != nil {
		errs = append(errs, &settingError{"script", err})
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return &filter{
		settings: s, program: newProgram(s, main), access: newAccess(s), closeLimit: closeLimit, killLimit: killLimit,
	}, nil
}

func (s *Settings) check() (errs []*settingError) {
	if s.OnError != OnErrorClose && s.OnError != OnErrorPass {
		err := &framework.UnknownNameError{What: "value", Name: s.OnError, Known: []string{OnErrorClose, OnErrorPass}}
		errs = append(errs, &settingError{"on_error", err})
	}
	if s.Budget < 0 {
		errs = append(errs, &settingError{"budget", fmt.Errorf("wants a positive number of instructions, not %d", s.Budget)})
	}
	errs = append(errs, checkEntries("allow.read", s.Allow.Read)...)
	return append(errs, checkEntries("allow.write", s.Allow.Write)...)
}

func checkEntries(key string, entries []string) (errs []*settingError) {
	for i, entry := range entries {
		if filepath.IsLocal(entry) {
			continue
		}
		at := fmt.Sprintf("%s[%d]", key, i)
		errs = append(errs, &settingError{at, fmt.Errorf("%q must be a relative path that does not lead out of the configuration's directory", entry)})
	}
	return errs
}

// compileMain compiles the script itself.
func compileMain(s Settings) (*prototype, error) {
	source := []byte(s.Source)
	if s.Source == "" {
		var err error
		if source, err = os.ReadFile(filepath.Join(s.Dir, s.Script)); err != nil {
			return nil, err
		}
	}
	return compile(s.Script, source)
}
