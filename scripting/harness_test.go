package scripting

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/completion"
	"fwx/framework/fwxtest"
	"fwx/framework/metrics"
	"fwx/framework/store"
	"fwx/framework/strict"
)

func needsUnixSockets(tb testing.TB) {
	tb.Helper()
	if runtime.GOOS == "windows" {
		tb.Skip("not on this system: unix sockets")
	}
}

func TestMain(m *testing.M) { fwxtest.VerifyMain(m) }

// backends are those that every test runs on.
var backends = completion.Backends()

// anyBackend is for what does not depend on it.
var anyBackend = backends[len(backends)-1]

// record gathers the log of a test.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.ReplaceAll(r.text.String(), `\"`, `"`)
}

func (r *record) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text = bytes.Buffer{}
}

func (r *record) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

const (
	// patience is how long a test waits for what must come.
	patience = 2 * time.Minute
	// holdLimit is how long a script of a test may hold its worker: the machine may be
	// busy, and the race detector makes everything slow. The limit itself is for TestTimeLimit.
	holdLimit = time.Minute
)

// interpreterVariable is the variable of the environment that says which loop of the interpreter tests run.
const interpreterVariable = "FWX_INTERPRETER"

// bench runs snippets of Lua on a worker, without a firewall.
type bench struct {
	tb     testing.TB
	dir    string
	log    *record
	port   *completion.Port
	state  *state
	closed bool
}

func newBench(tb testing.TB, backend string, change ...func(*Settings)) *bench {
	tb.Helper()
	b := &bench{tb: tb, dir: tb.TempDir(), log: &record{}}
	settings := Settings{
		Name: "test", Script: "test.lua", Source: "return {}", Dir: b.dir,
		Allow: Allow{Read: []string{"read/", "var/"}, Write: []string{"var/"}}, Interpreter: os.Getenv(interpreterVariable),
	}
	if err := os.MkdirAll(filepath.Join(b.dir, "read"), 0o750); err != nil {
		tb.Fatal(err)
	}
	for _, c := range change {
		c(&settings)
	}
	var mistakes strict.Errors
	f := newFilter(settings, strict.NewChecker(&mistakes))
	if err := mistakes.Err(); err != nil {
		tb.Fatal(err)
	}
	f.logger, f.timeLimit = b.log.logger(), holdLimit
	var err error
	if f.store, err = store.NewMemory(store.MemorySettings{}); err != nil {
		tb.Fatal(err)
	}
	f.metrics, f.alert = metrics.NewRegistry(1), func(string, int, string) {}
	if b.port, err = completion.New(completion.Options{Workers: 1, Backend: backend, Logger: f.logger}); err != nil {
		tb.Fatal(err)
	}
	if err := f.access.open(b.port); err != nil {
		tb.Fatal(err)
	}
	w := b.port.Workers()[0]
	if err := w.Call(func() { b.state = newState(f, w) }); err != nil {
		tb.Fatal(err)
	}
	f.states = []*state{b.state}
	tb.Cleanup(b.close)
	return b
}

// holdFor sets how long a snippet may hold the worker.
func (b *bench) holdFor(limit time.Duration) {
	b.tb.Helper()
	if err := b.port.Workers()[0].Call(func() { b.state.meter.limit = limit }); err != nil {
		b.tb.Fatal(err)
	}
}

func (b *bench) close() {
	if b.closed {
		return
	}
	b.closed = true
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.state.filter.FilterShutdown(ctx); err != nil {
		b.tb.Error(err)
	}
	if err := b.port.Shutdown(ctx); err != nil {
		b.tb.Error(err)
	}
}

// run runs a snippet as a function's body and returns what it returns, as text.
func (b *bench) run(source string) (string, error) {
	b.tb.Helper()
	return b.runAs("test", source)
}

// runAs is run for a snippet that is taken for a handler of that name.
func (b *bench) runAs(name, source string) (string, error) {
	b.tb.Helper()
	type outcome struct {
		text string
		err  error
	}
	results := make(chan outcome, 1)
	proto, err := compile("test.lua", []byte("local fwx = require 'fwx'; "+source))
	if err != nil {
		return "", err
	}
	err = b.port.Workers()[0].Call(func() {
		fn := b.state.instantiate(proto)
		b.state.start(task{name: name, end: endingFunc(func(result lua.LValue, err error) {
			if err != nil {
				err = errors.New(messageOf(err))
			}
			results <- outcome{result.String(), err}
		})}, fn)
	})
	if err != nil {
		return "", err
	}
	select {
	case o := <-results:
		return o.text, o.err
	case <-time.After(patience):
		b.tb.Fatalf("the snippet has not returned: %s", source)
		return "", nil
	}
}

// wants runs a row. A wanted text that begins with "!" is part of the error.
func (b *bench) wants(row snippet) {
	b.tb.Helper()
	got, err := b.run(row.source)
	want, fails := strings.CutPrefix(row.want, "!")
	switch {
	case fails && (err == nil || !strings.Contains(err.Error(), want)):
		b.tb.Errorf("%s: got %q, %v; want an error with %q", row.name, got, err, want)
	case !fails && (err != nil || got != want):
		b.tb.Errorf("%s: got %q, %v; want %q", row.name, got, err, want)
	}
}

// write makes a file in the directory of the test.
func (b *bench) write(name, text string) {
	b.tb.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		b.tb.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.tb.Fatal(err)
	}
}

// snippet is a row of a table test: a body, and what it returns or raises.
type snippet struct{ name, source, want string }

// runSnippets runs the rows on every backend.
func runSnippets(t *testing.T, prepare func(*bench), rows []snippet, change ...func(*Settings)) {
	t.Helper()
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			b := newBench(t, backend, change...)
			if prepare != nil {
				prepare(b)
			}
			for _, row := range rows {
				b.wants(row)
			}
		})
	}
}
