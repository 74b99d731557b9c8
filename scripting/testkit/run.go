package testkit

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// DefaultTimeout is how long a test may take, by the real clock.
const DefaultTimeout = 10 * time.Second

// Options say what Run runs, and how.
type Options struct {
	// Match is what the name of a test must match; nil: all do.
	Match *regexp.Regexp
	// Timeout bounds a test, by the real clock; 0 means DefaultTimeout.
	Timeout time.Duration
}

// File is what became of a file of tests.
type File struct {
	Path  string
	Err   error // it has not come to tests
	Tests []Test
}

// Test is what became of a test.
type Test struct {
	Name    string
	Failure string // empty: it has passed
	Output  string // what it has printed, and with a failure what the gateway has logged
	Took    time.Duration
}

// Failed returns how many of the tests have failed; a file with an error is one.
func (f File) Failed() (n int) {
	for _, t := range f.Tests {
		if t.Failure != "" {
			n++
		}
	}
	if f.Err != nil {
		n++
	}
	return n
}

// Run runs the tests of a file, each in a fresh state of Lua with a gateway of its own.
func Run(ctx context.Context, path string, o Options) File {
	s, err := load(path)
	if err != nil {
		return File{Path: path, Err: err}
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	f := File{Path: path}
	for _, name := range s.names {
		if o.Match == nil || o.Match.MatchString(name) {
			f.Tests = append(f.Tests, s.run(ctx, name, o.Timeout))
		}
	}
	return f
}

// run runs a test.
func (s *suite) run(ctx context.Context, name string, timeout time.Duration) Test {
	begun := time.Now()
	t := newTest(s)
	result := Test{Name: name}
	if err := t.run(ctx, name, timeout); err != nil {
		result.Failure = err.Error()
		t.showLog()
	}
	result.Output, result.Took = t.output.String(), time.Since(begun)
	return result
}

// run calls the function of the test and then ends its gateway.
func (t *test) run(ctx context.Context, name string, timeout time.Duration) (err error) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	t.ctx = limited
	t.L = newState(t.suite, t.print)
	defer t.L.Close()
	t.L.SetContext(limited)
	defer func() {
		t.ctx = context.WithoutCancel(ctx)
		err = errors.Join(err, t.end(timeout)) //nolint:contextcheck // t.ctx is what it takes
	}()
	tests, err := t.suite.tests(t.L)
	if err != nil {
		return err
	}
	object := t.openClasses()
	err = t.L.CallByParam(lua.P{Fn: tests[name], Protect: true}, object)
	switch {
	case err == nil:
		return nil
	case limited.Err() != nil:
		return fmt.Errorf("it has not ended after %v%s", timeout, t.waits()) //nolint:contextcheck // ctx has ended
	}
	return errors.New(messageOf(err))
}
