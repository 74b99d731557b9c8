package scripting

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
	"fwx/framework/completion"
	"fwx/framework/strict"
)

// The names of the handlers that a script may have.
const (
	handlerInit     = "on_init"
	handlerConnect  = "on_connect"
	handlerData     = "on_data"
	handlerClose    = "on_close"
	handlerShutdown = "on_shutdown"
)

var handlerNames = []string{handlerInit, handlerConnect, handlerData, handlerClose, handlerShutdown}

// handlers are the functions of a script's table; nil where it has none.
type handlers struct {
	init, connect, data, close, shutdown *lua.LFunction
}

// events returns what the service must tell the filter.
func (h *handlers) events() (mask framework.EventMask) {
	if h.close != nil {
		// Attached with the first event, so that connections that another filter
		// denies are closed with an on_close too.
		mask |= framework.AcceptedConnection | framework.ConnectionTerminating
	}
	if h.connect != nil || h.data != nil {
		mask |= framework.ConnectTCP | framework.ConnectionTerminating
	}
	return mask
}

// Bounds of a Lua thread. Its stacks start small and grow up to these.
const (
	maxCallDepth    = 512
	initialRegistry = 128
	registryGrowth  = 128
	maxRegistry     = 64 << 10
)

// How long handlers may take that hold up the beginning or the end of something.
const (
	initLimit     = time.Minute
	closeLimit    = 25 * time.Second // below the framework's own, which would take the verdict from us
	shutdownLimit = 5 * time.Second
	killLimit     = 10 * time.Second // for what runs to notice the end
)

const (
	// abortedBudget is the instructions that a handler has to tidy up after its end.
	abortedBudget = 10_000
	// maxStringSize bounds the strings that functions of the host make.
	maxStringSize = 64 << 20
	// The permissions of what scripts make.
	defaultFileMode   = 0o640
	defaultFolderMode = 0o750
	// noConnection stands for the identifier of none.
	noConnection = 0
)

// state is a script on one worker: its Lua state and everything that belongs to
// it. It is used on that worker only.
type state struct {
	filter   *filter
	worker   *completion.Worker
	logger   *slog.Logger
	L        *lua.LState // runs nothing itself: fibers have threads of it
	meter    meter
	handlers handlers

	running *fiber
	idle    []*fiber
	active  map[*fiber]struct{}

	resources map[resource]struct{} // open, with no connection to close them
	pending   int                   // operations that no fiber waits for
	timers    map[*timer]struct{}
	modules   map[string]*module // by path
	types     types
	module    *lua.LTable // what require "fwx" returns
	drop      *lua.LUserData
	null      *lua.LUserData
	concat    *lua.LFunction
	direction [2]lua.LValue // the names, made once

	ready   bool // on_init has returned
	closing bool
	ended   chan struct{}
}

// resource is something open that a script may forget to close.
type resource interface{ release() }

func newState(f *filter, w *completion.Worker) *state {
	s := &state{
		filter: f, worker: w, logger: f.logger,
		active: make(map[*fiber]struct{}), resources: make(map[resource]struct{}),
		timers: make(map[*timer]struct{}), modules: make(map[string]*module),
		ended: make(chan struct{}),
	}
	s.L = lua.NewState(lua.Options{
		CallStackSize: maxCallDepth, MinimizeStackMemory: true,
		RegistrySize: initialRegistry, RegistryGrowStep: registryGrowth, RegistryMaxSize: maxRegistry,
		SkipOpenLibs: true,
	})
	s.meter.stall = s.stalled
	s.openLibraries()
	s.openModule()
	return s
}

// load runs the script and then its on_init; done is told the outcome.
func (s *state) load(done func(error)) {
	s.start(task{name: "the script", fn: s.instantiate(s.filter.program.main), end: endingFunc(func(result lua.LValue, err error) {
		if err == nil {
			err = s.takeHandlers(result)
		}
		if err != nil || s.handlers.init == nil {
			s.ready = err == nil
			done(scriptError(err))
			return
		}
		s.init(done)
	})})
}

func (s *state) init(done func(error)) {
	config, err := s.fromGo(s.filter.settings.Config)
	if err != nil {
		done(fmt.Errorf("config: %w", err))
		return
	}
	s.start(task{name: handlerInit, fn: s.handlers.init, args: [5]lua.LValue{config}, nargs: 1, end: endingFunc(func(result lua.LValue, err error) {
		if err == nil && result != lua.LNil {
			err = wrongResult(handlerInit, result, "nil")
		}
		s.ready = err == nil
		done(scriptError(err))
	})})
}

// takeHandlers reads the table that the script returned.
func (s *state) takeHandlers(result lua.LValue) error {
	table, ok := result.(*lua.LTable)
	if !ok {
		return fmt.Errorf("%s: the script returned %s; it must return its table of handlers", s.filter.program.path, describe(result))
	}
	places := map[string]**lua.LFunction{
		handlerInit: &s.handlers.init, handlerConnect: &s.handlers.connect, handlerData: &s.handlers.data,
		handlerClose: &s.handlers.close, handlerShutdown: &s.handlers.shutdown,
	}
	var err error
	table.ForEach(func(key, value lua.LValue) {
		name, ok := key.(lua.LString)
		if !ok || len(name) < 3 || name[:3] != "on_" || err != nil {
			return
		}
		place := places[string(name)]
		if place == nil {
			err = fmt.Errorf("%s: there is no handler %q%s", s.filter.program.path, string(name), strict.Suggest(string(name), handlerNames))
			return
		}
		if *place, ok = value.(*lua.LFunction); !ok {
			err = fmt.Errorf("%s: %s is %s; it must be a function", s.filter.program.path, name, describe(value))
		}
	})
	return err
}

// track notes a resource for the case that the script forgets to close it: with
// the connection on whose behalf it was opened, or else with the state.
func (s *state) track(r resource) *conn {
	if f := s.running; f != nil && f.task.conn != nil && !f.task.conn.ended {
		f.task.conn.track(r)
		return f.task.conn
	}
	s.resources[r] = struct{}{}
	return nil
}

func (s *state) untrack(r resource, owner *conn) {
	if owner != nil {
		delete(owner.resources, r)
		return
	}
	delete(s.resources, r)
}

// shutdown ends the state: on_shutdown, then everything that still runs or is
// open. s.ended is closed after the last of it.
func (s *state) shutdown() {
	if s.handlers.shutdown == nil || !s.ready {
		s.close()
		return
	}
	limit := s.worker.NewTimer(func() { s.abortAll(errTooLong) })
	limit.Reset(shutdownLimit)
	s.start(task{name: handlerShutdown, fn: s.handlers.shutdown, end: endingFunc(func(result lua.LValue, err error) {
		limit.Stop()
		if err == nil && result != lua.LNil {
			err = wrongResult(handlerShutdown, result, "nil")
		}
		if err != nil {
			s.logError(handlerShutdown, noConnection, err)
		}
		s.close()
	})})
}

func (s *state) close() {
	s.closing = true
	for t := range s.timers {
		t.stop()
	}
	s.abortAll(errScriptEnded)
	for r := range s.resources {
		r.release()
	}
	s.checkEnded()
}

func (s *state) abortAll(err error) {
	for f := range s.active {
		f.left = min(f.left, abortedBudget)
		f.abort(err)
	}
}

// checkEnded ends the state when nothing of it runs or is being closed.
func (s *state) checkEnded() {
	if len(s.active) > 0 || s.pending > 0 || s.L == nil {
		return
	}
	for _, f := range s.idle {
		f.stop()
	}
	s.idle = nil
	s.L.Close()
	s.L = nil
	close(s.ended)
}

// kill ends what did not end by itself.
func (s *state) kill() (left int) {
	if s.L == nil {
		return 0
	}
	left = len(s.active) + s.pending
	for f := range s.active {
		s.running = f
		s.meter.set(abortedBudget)
		f.waiting = nil
		f.stop()
		s.running = nil
	}
	clear(s.active)
	s.pending = 0
	s.checkEnded()
	return left
}

// discard closes the result of an operation that nobody waits for any more.
func (s *state) discard(value any) {
	switch v := value.(type) {
	case *completion.Handle:
		_ = v.Close() // it was just opened
	case *completion.Appender:
		s.closeAppender(v)
	case *completion.Watch:
		v.Close()
	}
}

// closeAppender closes an appender, which takes as long as it has to write.
func (s *state) closeAppender(a *completion.Appender) {
	o := s.worker.CreateOverlapped()
	err := o.SetNotificationInterface(completion.CompletionFunc(func(_ bool, _ int, err error, _ *completion.Overlapped, _ any) {
		if err != nil {
			s.logger.Error("a file that was appended to could not be finished", "path", a.Path(), "error", err)
		}
		s.pending--
		if s.closing {
			s.checkEnded()
		}
	}), nil)
	if err == nil {
		err = a.Close(o)
	}
	if err == nil {
		s.pending++
	} else if !errors.Is(err, completion.ErrPortClosed) {
		s.logger.Error("a file that was appended to could not be closed", "path", a.Path(), "error", err)
	}
}
