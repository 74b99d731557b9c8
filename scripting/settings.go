package scripting

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"math"
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
	// Interpreter says which loop runs the instructions: InterpreterFast (or empty) or
	// InterpreterPlain. Both compute the same.
	Interpreter string
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

// The loops of the interpreter.
const (
	InterpreterFast  = "fast"  // fwx's, where this program's gopher-lua is the one that it is written for
	InterpreterPlain = "plain" // gopher-lua's
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
	Interpreter  string        `toml:"interpreter"`
	Config       strict.Table  `toml:"config"`
}

// Factory returns the filter kind "lua".
func Factory() framework.Factory {
	return framework.Factory{
		Kind:    "lua",
		Summary: "runs a Lua script that sees connections and their data",
		Settings: func() any {
			return &tableSettings{
				OnError: OnErrorClose, Budget: DefaultBudget, EventBudget: DefaultEventBudget, Memory: DefaultMemory,
				Breaker: DefaultBreaker, BreakerPause: DefaultBreakerPause, Interpreter: InterpreterFast,
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
	var mistakes strict.Errors
	f := newFilter(Settings{
		Name: config.Name, Script: t.Script, OnError: t.OnError, Allow: t.Allow,
		Budget: t.Budget, EventBudget: t.EventBudget, Memory: int64(t.Memory),
		Breaker: max(t.Breaker, -1), BreakerPause: t.BreakerPause, Interpreter: t.Interpreter,
		Config: t.Config.Map(), Dir: config.Dir,
	}, config.Checker(&mistakes))
	if err := mistakes.Err(); err != nil {
		return nil, err
	}
	return f, nil
}

// New makes a filter from a script. It compiles the script and checks the
// settings, and opens and starts nothing.
func New(settings Settings) (framework.Filter, error) {
	var mistakes strict.Errors
	f := newFilter(settings, framework.FilterConfig{Name: settings.Name}.Checker(&mistakes))
	if err := mistakes.Err(); err != nil {
		return nil, err
	}
	return f, nil
}

// newFilter makes a filter. What is wrong with the settings it reports, and then the result
// is not used.
func newFilter(s Settings, check strict.Checker) *filter {
	if s.Breaker == 0 {
		s.Breaker = DefaultBreaker
	}
	if s.Name == "" {
		s.Name = s.Script
	}
	s.System = s.System.withDefaults()
	s.check(check)
	f := &filter{settings: s, access: newAccess(s), reach: newReach(s, check), timeLimit: timeLimit, closeLimit: closeLimit, killLimit: killLimit}
	var err error
	if f.program, err = newProgram(s); err != nil {
		check.Errorf("script", "%v", err)
	}
	return f
}

// check reports what is wrong with the settings, and fills in the defaults.
func (s *Settings) check(check strict.Checker) {
	check.OneOf("on_error", &s.OnError, "value", []string{OnErrorClose, OnErrorPass})
	check.OneOf("interpreter", &s.Interpreter, "value", []string{InterpreterFast, InterpreterPlain})
	instructions(check, "budget", &s.Budget, DefaultBudget)
	instructions(check, "event_budget", &s.EventBudget, DefaultEventBudget)
	memory := strict.Size(s.Memory)
	check.Size("memory", &memory, minMemory, math.MaxInt64, DefaultMemory)
	s.Memory = int64(memory)
	check.Duration("breaker_pause", &s.BreakerPause, DefaultBreakerPause)
	checkEntries(check, "allow.read", s.Allow.Read)
	checkEntries(check, "allow.write", s.Allow.Write)
	for i, name := range s.Allow.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			check.Errorf(fmt.Sprintf("allow.env[%d]", i), "%q is not the name of a variable", name)
		}
	}
}

// instructions reports a number of instructions that is not positive; 0 means the fallback,
// and cannot be written in a file.
func instructions(check strict.Checker, key string, n *int64, fallback int64) {
	switch {
	case *n < 0:
		check.Errorf(key, "wants a positive number of instructions, not %d", *n)
	case *n == 0 && check.Has(key):
		check.Errorf(key, "wants more than 0; leave the key out for %d", fallback)
	}
	if *n <= 0 {
		*n = fallback
	}
}

func checkEntries(check strict.Checker, key string, entries []string) {
	for i, entry := range entries {
		if !filepath.IsLocal(entry) {
			check.Errorf(fmt.Sprintf("%s[%d]", key, i), "%q must be a relative path that does not lead out of the configuration's directory", entry)
		}
	}
}
