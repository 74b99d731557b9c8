package scripting

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/completion"
	"fwx/framework/fwxtest"
)

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

func (r *record) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

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
		Allow: Allow{Read: []string{"read/", "var/"}, Write: []string{"var/"}},
	}
	if err := os.MkdirAll(filepath.Join(b.dir, "read"), 0o750); err != nil {
		tb.Fatal(err)
	}
	for _, c := range change {
		c(&settings)
	}
	f, errs := newFilter(settings)
	if len(errs) > 0 {
		tb.Fatal(errs[0])
	}
	f.logger = b.log.logger()
	if err := f.access.open(); err != nil {
		tb.Fatal(err)
	}
	var err error
	if b.port, err = completion.New(completion.Options{Workers: 1, Backend: backend, Logger: f.logger}); err != nil {
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

func (b *bench) close() {
	if b.closed {
		return
	}
	b.closed = true
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
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
		b.state.start(task{name: "test", fn: fn, end: endingFunc(func(result lua.LValue, err error) {
			if err != nil {
				err = errors.New(messageOf(err))
			}
			results <- outcome{result.String(), err}
		})})
	})
	if err != nil {
		return "", err
	}
	select {
	case o := <-results:
		return o.text, o.err
	case <-time.After(10 * time.Second):
		b.tb.Fatal("the snippet has not returned")
		return "", nil
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

// runSnippets runs the rows on every backend. A wanted text that begins with "!"
// is part of the error.
func runSnippets(t *testing.T, prepare func(*bench), rows []snippet, change ...func(*Settings)) {
	t.Helper()
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			b := newBench(t, backend, change...)
			if prepare != nil {
				prepare(b)
			}
			for _, row := range rows {
				got, err := b.run(row.source)
				want, fails := strings.CutPrefix(row.want, "!")
				switch {
				case fails && (err == nil || !strings.Contains(err.Error(), want)):
					t.Errorf("%s: got %q, %v; want an error with %q", row.name, got, err, want)
				case !fails && (err != nil || got != want):
					t.Errorf("%s: got %q, %v; want %q", row.name, got, err, want)
				}
			}
		})
	}
}
