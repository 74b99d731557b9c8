package scripting

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

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
	// Allow is which files the script may open, whom it may connect to, and so on.
	Allow Allow
	// Budget is how many instructions a handler may run without letting others
	// run; 0 means DefaultBudget.
	Budget int64
	// EventBudget is how many instructions a handler of a connection may run in all, of
	// which each wait is 100; 0 means DefaultEventBudget. What the script does of its
	// own, as in timers and posted tasks, may go on for ever.
	EventBudget int64
	// Memory is how many bytes the script may hold on each worker; 0 means
	// DefaultMemory.
	Memory int64
	// Breaker is after how many failures in a row on one worker the script is left out
	// there for BreakerPause; 0 means DefaultBreaker, a negative number never.
	Breaker int
	// BreakerPause is how long the script is then left out; 0 means DefaultBreakerPause.
	BreakerPause time.Duration
	// Config is handed to on_init as a table: strings, numbers, booleans, times,
	// []any and map[string]any.
	Config map[string]any
	// Dir is the directory that Script and the entries of Allow start from;
	// empty: the working directory.
	Dir string
	// System is what the script sees of the system that it runs on, besides what is
	// the completion port's: files, sockets and time.
	System System
}

// System is what a script sees of the system that it runs on. The zero value is the
// real one; a test gives another.
type System struct {
	// Resolver looks up names; nil: net.DefaultResolver.
	Resolver Resolver
	// LookupEnv returns a variable of the environment; nil: os.LookupEnv.
	LookupEnv func(name string) (value string, found bool)
	// Random is what random bytes and numbers are made of; nil: what nobody can guess.
	// It is read by all workers.
	Random io.Reader
	// Roots returns the authorities that servers are trusted by, if the script names
	// none; nil: x509.SystemCertPool. It may block.
	Roots func() (*x509.CertPool, error)
}

// Resolver looks up names and addresses, as a net.Resolver does. It is called on
// goroutines of its own.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

func (s System) withDefaults() System {
	if s.Resolver == nil {
		s.Resolver = net.DefaultResolver
	}
	if s.LookupEnv == nil {
		s.LookupEnv = os.LookupEnv
	}
	if s.Roots == nil {
		s.Roots = x509.SystemCertPool
	}
	return s
}

// Allow is what a script may use. The zero value is nothing.
type Allow struct {
	// Read and Write list files, and directories with everything in them, that may
	// be opened. Paths are relative and do not lead out of the directory they start from.
	Read  []string `toml:"read"`
	Write []string `toml:"write"`
	// Connect lists the servers that may be connected to: "10.0.0.0/8:443",
	// "[2001:db8::/32]:443", "example.org:443", "*.example.org:443", "*:443" (any
	// name), each with "*" for any port, and "unix:/run/app.sock" or, with all in it,
	// "unix:/run/app/". A name reaches public addresses; others want an entry too.
	Connect []string `toml:"connect"`
	// DNS lists the names that may be looked up, "example.org", "*.example.org" or "*",
	// and the networks whose addresses may be.
	DNS []string `toml:"dns"`
	// InsecureTLS lets the script ask for connections whose certificate is not checked.
	InsecureTLS bool `toml:"insecure_tls"`
	// Expect lets the script expect secondary connections, as FTP has them.
	Expect bool `toml:"expect"`
	// Env lists the variables of the environment that may be read.
	Env []string `toml:"env"`
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

// DefaultEventBudget is the instructions that a handler of a connection may run in all:
// about a second's work, however often it waits.
const DefaultEventBudget = 100_000_000

// tableSettings are the settings in a configuration file.
type tableSettings struct {
	Script       string        `toml:"script,required"`
	OnError      string        `toml:"on_error"`
	Allow        Allow         `toml:"allow"`
	Budget       int64         `toml:"budget"`
	EventBudget  int64         `toml:"event_budget"`
	Memory       strict.Size   `toml:"memory"`
	Breaker      int           `toml:"breaker"`
	BreakerPause time.Duration `toml:"breaker_pause"`
	Config       strict.Table  `toml:"config"`
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
		Kind:    "lua",
		Summary: "runs a Lua script that sees connections and their data",
		Settings: func() any {
			return &tableSettings{
				OnError: OnErrorClose, Budget: DefaultBudget, EventBudget: DefaultEventBudget, Memory: DefaultMemory,
				Breaker: DefaultBreaker, BreakerPause: DefaultBreakerPause,
			}
		},
		New: newFromTable,
	}
}

func newFromTable(config framework.FilterConfig, settings any) (framework.Filter, error) {
	t, ok := settings.(*tableSettings)
	if !ok {
		return nil, fmt.Errorf("settings of type %T", settings)
	}
	if t.Breaker == 0 {
		t.Breaker = -1 // never; in Settings it means the default
	}
	if errs := t.zeros(config); len(errs) > 0 {
		return nil, placed(config, errs)
	}
	f, errs := newFilter(Settings{
		Name: config.Name, Script: t.Script, OnError: t.OnError, Allow: t.Allow,
		Budget: t.Budget, EventBudget: t.EventBudget, Memory: int64(t.Memory),
		Breaker: max(t.Breaker, -1), BreakerPause: t.BreakerPause,
		Config: t.Config.Map(), Dir: config.Dir,
	})
	if len(errs) == 0 {
		return f, nil
	}
	return nil, placed(config, errs)
}

// zeros reports what is written as zero and would mean the default.
func (t *tableSettings) zeros(config framework.FilterConfig) (errs []*settingError) {
	for _, s := range []struct {
		key      string
		zero     bool
		fallback any
	}{
		{"budget", t.Budget == 0, DefaultBudget},
		{"event_budget", t.EventBudget == 0, DefaultEventBudget},
		{"memory", t.Memory == 0, strict.Size(DefaultMemory)},
		{"breaker_pause", t.BreakerPause == 0, DefaultBreakerPause},
	} {
		if s.zero && config.Table.Has(s.key) {
			errs = append(errs, &settingError{s.key, fmt.Errorf("wants more than 0; leave the key out for %v", s.fallback)})
		}
	}
	return errs
}

// placed returns mistakes with where they stand in the file.
func placed(config framework.FilterConfig, errs []*settingError) error {
	var mistakes strict.Errors
	for _, e := range errs {
		mistakes.Add(config.Errorf(e.key, "%v", e.err))
	}
	return mistakes.Err()
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
	if s.EventBudget == 0 {
		s.EventBudget = DefaultEventBudget
	}
	if s.Memory == 0 {
		s.Memory = DefaultMemory
	}
	if s.Breaker == 0 {
		s.Breaker = DefaultBreaker
	}
	if s.BreakerPause == 0 {
		s.BreakerPause = DefaultBreakerPause
	}
	if s.OnError == "" {
		s.OnError = OnErrorClose
	}
	if s.Name == "" {
		s.Name = s.Script
	}
	s.System = s.System.withDefaults()
	errs := s.check()
	reach, mistakes := newReach(s)
	errs = append(errs, mistakes...)
	program, err := newProgram(s)
	if err != nil {
		errs = append(errs, &settingError{"script", err})
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return &filter{
		settings: s, program: program, access: newAccess(s), reach: reach,
		timeLimit: timeLimit, closeLimit: closeLimit, killLimit: killLimit,
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
	if s.EventBudget < 0 {
		errs = append(errs, &settingError{"event_budget", fmt.Errorf("wants a positive number of instructions, not %d", s.EventBudget)})
	}
	if s.Memory < minMemory {
		errs = append(errs, &settingError{"memory", fmt.Errorf("wants at least %d KiB, which is what a script needs to begin with", minMemory>>10)})
	}
	if s.BreakerPause < 0 {
		errs = append(errs, &settingError{"breaker_pause", fmt.Errorf("wants a positive time, not %v", s.BreakerPause)})
	}
	errs = append(errs, checkEntries("allow.read", s.Allow.Read)...)
	errs = append(errs, checkEntries("allow.write", s.Allow.Write)...)
	for i, name := range s.Allow.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			at := fmt.Sprintf("allow.env[%d]", i)
			errs = append(errs, &settingError{at, fmt.Errorf("%q is not the name of a variable", name)})
		}
	}
	return errs
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
