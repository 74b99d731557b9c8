package scripting

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/completion"
	"fwx/framework/metrics"
	"fwx/framework/store"
)

// A trial runs the script and its on_init as a start would, on one worker of a port of its
// own, to find what makes the start fail: a misspelled handler, a variable that is not set,
// a file that cannot be read. Nothing outside the program comes of it: what the script
// writes goes to the null device, files are not renamed or removed, and nobody is
// connected to. What fails after that proves nothing, since it may depend on it.

// errTrial is the error of what a trial does not do.
var errTrial = &codedError{"a check of the configuration connects to nobody", codeDenied}

// Check returns an error if a start of the filter would fail, as far as a trial can tell.
func (f *filter) Check(ctx context.Context) (err error) {
	t := &filter{
		settings: f.settings, program: f.program, access: newAccess(f.settings), reach: f.reach, trial: true,
		logger: slog.New(slog.DiscardHandler), metrics: metrics.NewRegistry(1), alert: func(string, int, string) {},
		timeLimit: f.timeLimit, closeLimit: f.closeLimit, killLimit: f.killLimit,
	}
	if t.store, err = store.NewMemory(store.MemorySettings{}); err != nil {
		return err
	}
	port, err := completion.New(completion.Options{Workers: 1, Logger: t.logger}) //nolint:contextcheck // it ends by Shutdown
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, port.Shutdown(ctx)) }()
	if t.access.empty, err = os.MkdirTemp("", "fwx-check-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(t.access.empty)) }()
	if err := t.access.open(port); err != nil {
		return errors.Join(append(t.access.close(), err)...)
	}
	results := make(chan error, 1)
	w := port.Workers()[0]
	t.states = make([]*state, 1)
	err = w.Call(func() { //nolint:contextcheck // it ends by FilterShutdown
		t.states[0] = newState(t, w)
		t.states[0].load(func(err error) { results <- err })
	})
	if err == nil {
		err = collect(results, 1)
	}
	ended := w.Call(func() {
		if t.states[0].doubt {
			err = nil
		}
		t.states[0].ready = false // on_shutdown is for what has been started
	})
	return errors.Join(err, ended, t.FilterShutdown(ctx))
}

// pretend gives the result of something that a trial does not do: it has succeeded.
func (s *state) pretend(L *lua.LState) int {
	s.doubt = true
	return give(L, lua.LTrue)
}

// standIn returns a directory itself, or if it is one that a start would make, another that is
// empty too. What would keep a start from making it is an error.
func (a *access) standIn(port *completion.Port, path string, create bool) (string, error) {
	_, err := port.Stat(path)
	if err == nil {
		return path, nil
	}
	if !create && !slices.ContainsFunc(a.made, func(made string) bool { return isBeneath(path, made) }) {
		return path, nil // who opens it says what is wrong
	}
	for parent := path; ; parent = filepath.Dir(parent) {
		info, err := port.Stat(parent)
		switch {
		case err == nil && !info.IsDir():
			return "", &fs.PathError{Op: "mkdir", Path: parent, Err: syscall.ENOTDIR}
		case err == nil:
			a.made = append(a.made, path)
			return a.empty, nil
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) || parent == filepath.Dir(parent):
			return "", err
		}
	}
}

// isBeneath reports whether a path is a directory or in it.
func isBeneath(path, folder string) bool {
	rest, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(rest)
}
