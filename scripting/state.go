package scripting

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
	"fwx/framework/completion"
	"fwx/framework/strict"
	"fwx/scripting/internal/interp"
)

// The names of the handlers that a script may have.
const (
	handlerInit         = "on_init"
	handlerHello        = "on_client_hello"
	handlerConnect      = "on_connect"
	handlerData         = "on_data"
	handlerEnd          = "on_end"
	handlerRequest      = "on_request"
	handlerRequestBody  = "on_request_body"
	handlerResponse     = "on_response"
	handlerResponseBody = "on_response_body"
	handlerMessage      = "on_message"
	handlerClose        = "on_close"
	handlerShutdown     = "on_shutdown"
)

// handlers are the functions of a script's table; nil where it has none.
type handlers struct {
	init, hello, connect, data, end, close, shutdown *lua.LFunction

	request, requestBody, response, responseBody, message *lua.LFunction
}

// handlerTable is all handlers, with signature and description as bindings have.
var handlerTable = []struct {
	name     string
	place    func(*handlers) **lua.LFunction
	sig, doc string
}{
	{
		handlerInit, func(h *handlers) **lua.LFunction { return &h.init }, "(config: table)",
		"Once on each worker, at the start, which an error refuses. `config` is `[filter.config]`.",
	},
	{
		handlerHello, func(h *handlers) **lua.LFunction { return &h.hello }, "(conn: conn, hello: hello) -> verdict?",
		"A client has begun TLS on a listener with `[listener.tls]`, before the handshake and before `on_connect`. " +
			"`conn:set_upstream` and `conn:set_tls_mode` decide how it goes on. Nothing: allow; `fwx.deny(reason)`: refuse, by an alert.",
	},
	{
		handlerConnect, func(h *handlers) **lua.LFunction { return &h.connect }, "(conn: conn) -> verdict?",
		"Before a server is connected. Nothing: allow; `fwx.deny(reason)`: refuse.",
	},
	{
		handlerData, func(h *handlers) **lua.LFunction { return &h.data },
		"(conn: conn, chunk: chunk, direction: direction) -> bytes|verdict|nil",
		"For each chunk of each direction. Nothing: it goes on; a string: that goes on instead; `fwx.drop`; `fwx.deny(reason)`.",
	},
	{
		handlerEnd, func(h *handlers) **lua.LFunction { return &h.end }, "(conn: conn, direction: direction) -> bytes|verdict|nil",
		"The sender has ended its stream in a direction. A string goes on before the end.",
	},
	{
		handlerRequest, func(h *handlers) **lua.LFunction { return &h.request }, "(conn: conn, req: request) -> verdict?",
		"On a listener with `protocol = \"http\"`, for each request, when its headers have come. Nothing: it goes on, as it was " +
			"changed; `fwx.respond(...)` answers it; `fwx.deny(reason)` answers 403.",
	},
	{
		handlerRequestBody, func(h *handlers) **lua.LFunction { return &h.requestBody },
		"(conn: conn, req: request, chunk: chunk|spooled) -> bytes|verdict|nil",
		"For each chunk of a request's body, and once for its end with an empty one, which comes for requests without a body, too " +
			"(`req.has_body`). Nothing: it goes on; a string: that goes on instead, the framing follows; `fwx.drop`; `fwx.respond(...)`; " +
			"`fwx.deny(reason)`.",
	},
	{
		handlerResponse, func(h *handlers) **lua.LFunction { return &h.response },
		"(conn: conn, req: request, res: response) -> verdict?",
		"For each response of a server, when its headers have come. As `on_request`.",
	},
	{
		handlerResponseBody, func(h *handlers) **lua.LFunction { return &h.responseBody },
		"(conn: conn, req: request, res: response, chunk: chunk) -> bytes|verdict|nil",
		"For each chunk of a response's body, and once for its end with an empty one, which comes for responses without a body, too " +
			"(`res.has_body`). As `on_request_body`, but `fwx.respond` and `fwx.deny` break a response off that has begun. None has " +
			"when it has no body, or is gathered by `res:whole_body`.",
	},
	{
		handlerMessage, func(h *handlers) **lua.LFunction { return &h.message },
		"(conn: conn, message: chunk, direction: direction, kind: \"text\"|\"binary\") -> bytes|verdict|nil",
		"For each message of a WebSocket, joined from its fragments and decompressed. Nothing: it goes on; a string: a message of " +
			"the same kind goes on instead; `fwx.drop`; `fwx.deny(reason)` closes the WebSocket with 1008.",
	},
	{handlerClose, func(h *handlers) **lua.LFunction { return &h.close }, "(conn: conn)", "When the connection has ended."},
	{handlerShutdown, func(h *handlers) **lua.LFunction { return &h.shutdown }, "()", "Once on each worker, at the end."},
}

// events returns what the service must tell the filter.
func (h *handlers) events() (mask framework.EventMask) {
	if h.close != nil {
		// Attached with the first event, so that connections that another filter
		// denies are closed with an on_close too.
		mask |= framework.AcceptedConnection | framework.ConnectionTerminating
	}
	if h.hello != nil {
		mask |= framework.ClientHello | framework.ConnectionTerminating
	}
	if h.connect != nil || h.watchesData() || h.watchesHTTP() {
		mask |= framework.ConnectTCP | framework.ConnectionTerminating
	}
	return mask
}

// watchesHTTP reports whether the script sees requests, responses or messages.
func (h *handlers) watchesHTTP() bool {
	return h.request != nil || h.requestBody != nil || h.response != nil || h.responseBody != nil || h.message != nil
}

// watchesData reports whether the script is a part of the path that data takes.
func (h *handlers) watchesData() bool { return h.data != nil || h.end != nil }

// Bounds of a Lua thread. Its stacks start small and grow up to these.
const (
	maxCallDepth    = 512
	initialRegistry = 16
	leastRegistry   = 128 // that a state takes
	registryGrowth  = 16
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
	machine  *interp.Machine // runs its threads; nil: the interpreter's own loop does
	memory   memory
	breaker  breaker
	handlers handlers

	running  *fiber
	verdict  framework.Verdict // of the handler that has just ended
	idle     []*fiber
	carriers []*carrier  // that carry nobody
	sink     *lua.LState // what threads yield to
	active   map[*fiber]struct{}

	resources  map[resource]struct{} // open, with no connection to close them
	files      int                   // open
	watches    int
	logNames   map[string]*logName             // of files in mode "a"
	replaced   map[*completion.Handle]struct{} // by another of the same name; what is in flight ends first
	posted     map[*posted]struct{}            // tasks that have not run
	started    map[*overlapped]struct{}        // in flight
	pending    int                             // operations that no fiber waits for
	timers     map[*timer]struct{}
	sockets    int // open, or being connected
	resolver   *resolver
	trust      trust
	clients    clients
	scratch    []byte // for what is copied at once
	textMemory []byte // for what functions of the library put together; nil while it is lent
	conns      map[*conn]struct{}
	modules    map[string]*module // by path
	regexps    map[string]*lua.LUserData
	types      types
	module     *lua.LTable // what require "fwx" returns
	drop       *lua.LUserData
	null       *lua.LUserData
	array      *lua.LTable // the metatable of tables that are arrays of JSON
	decoding   *decoder    // of JSON, while it does
	concat     *lua.LFunction
	next       *lua.LFunction // by which tables are gone through
	methods    *lua.LTable    // the metatable of strings
	sealed     map[*lua.LTable]seal

	handleError *lua.LFunction // of protected calls
	failing     *lua.LFunction // raises an error
	protections *protection    // of a console, which has no fibers

	streamEnded, reload, reopenLog *lua.LFunction
	direction                      [2]lua.LValue // the names, made once

	doubt   bool // a trial has left something out
	ready   bool // on_init has returned
	retired bool // another filter has taken its place
	closing bool
	ended   chan struct{}
}

// resource is something open that a script may forget to close.
type resource interface{ release() }

func newState(f *filter, w *completion.Worker) *state {
	s := &state{
		filter: f, worker: w, logger: f.logger,
		active: make(map[*fiber]struct{}), resources: make(map[resource]struct{}),
		timers: make(map[*timer]struct{}), conns: make(map[*conn]struct{}), modules: make(map[string]*module),
		posted: make(map[*posted]struct{}), started: make(map[*overlapped]struct{}), regexps: make(map[string]*lua.LUserData),
		logNames: make(map[string]*logName), replaced: make(map[*completion.Handle]struct{}), trust: make(trust), clients: make(clients), ended: make(chan struct{}),
	}
	s.resolver = newResolver(s)
	s.L = newInterpreter()
	s.sink, _ = s.L.NewThread()
	s.meter.stall, s.meter.weigh, s.meter.limit = s.stalled, s.weigh, f.timeLimit
	s.meter.empty, s.meter.ease = s.spent, s.easeGrowth
	s.chooseLoop(f.settings.Interpreter)
	watchCollections()
	s.openLibraries()
	s.openModule()
	return s
}

// chooseLoop sets which loop runs the threads of the state.
func (s *state) chooseLoop(interpreter string) {
	if interpreter != InterpreterPlain {
		s.machine = interp.New(&s.meter.Count, s.meter.tick, &collections.count)
	}
}

// govern puts a thread under the budget of the state.
func (s *state) govern(thread *lua.LState) {
	thread.SetContext(&s.meter)
	if s.machine != nil {
		s.machine.Install(thread) // or its own loop counts, by the context
	}
}

// newInterpreter returns a Lua state without any library.
func newInterpreter() *lua.LState {
	L := lua.NewState(lua.Options{
		CallStackSize: maxCallDepth, MinimizeStackMemory: true,
		RegistrySize: leastRegistry, RegistryGrowStep: registryGrowth, RegistryMaxSize: maxRegistry,
		SkipOpenLibs: true,
	})
	L.Options.RegistrySize = initialRegistry // of its threads
	return L
}

// spent says which budget is, of the handler that runs.
func (s *state) spent() error {
	if s.running != nil && s.running.reserve == 0 {
		return &eventError{s.filter.settings.EventBudget}
	}
	return errBudget
}

// load runs the script and then its on_init; done is told the outcome.
func (s *state) load(done func(error)) {
	s.start(task{name: "the script", scheduled: true, end: endingFunc(func(result lua.LValue, err error) {
		if err == nil {
			err = s.takeHandlers(result)
		}
		if err != nil || s.handlers.init == nil {
			s.loaded(err)
			done(scriptError(err))
			return
		}
		s.init(done)
	})}, s.instantiate(s.filter.program.main))
}

func (s *state) init(done func(error)) {
	config, err := s.fromGo(s.filter.settings.Config)
	if err != nil {
		done(fmt.Errorf("config: %w", err))
		return
	}
	s.start(task{name: handlerInit, scheduled: true, end: endingFunc(func(result lua.LValue, err error) {
		if err == nil && result != lua.LNil {
			err = wrongResult(handlerInit, result, "nil")
		}
		s.loaded(err)
		done(scriptError(err))
	})}, s.handlers.init, config)
}

// loaded notes the end of on_init, or of a script without.
func (s *state) loaded(err error) {
	s.ready = err == nil
	if s.ready {
		s.freeze()
	}
}

// takeHandlers reads the table that the script returned.
func (s *state) takeHandlers(result lua.LValue) error {
	table, ok := result.(*lua.LTable)
	if !ok {
		return fmt.Errorf("%s: the script returned %s; it must return its table of handlers", s.filter.program.end(), describe(result))
	}
	places := make(map[string]**lua.LFunction)
	var known []string
	for _, h := range handlerTable {
		places[h.name] = h.place(&s.handlers)
		known = append(known, h.name)
	}
	var mistakes []string // in any order
	table.ForEach(func(key, value lua.LValue) {
		name, ok := key.(lua.LString)
		if !ok || len(name) < 3 || name[:3] != "on_" {
			return
		}
		place := places[string(name)]
		if place == nil {
			mistakes = append(mistakes, fmt.Sprintf("%s: there is no handler %q%s", s.filter.program.place(value), string(name), strict.Suggest(string(name), known)))
			return
		}
		if *place, ok = value.(*lua.LFunction); !ok {
			mistakes = append(mistakes, fmt.Sprintf("%s: %s is %s; it must be a function", s.filter.program.end(), name, describe(value)))
		}
	})
	if len(mistakes) == 0 {
		return nil
	}
	return errors.New(slices.Min(mistakes))
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
	s.start(task{name: handlerShutdown, end: endingFunc(func(result lua.LValue, err error) {
		limit.Stop()
		if err == nil && result != lua.LNil {
			err = wrongResult(handlerShutdown, result, "nil")
		}
		if err != nil {
			s.logError(handlerShutdown, noConnection, err)
		}
		s.close()
	})}, s.handlers.shutdown)
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
	s.resolver.cancel()
	s.clients.close()
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
	for _, c := range s.carriers {
		c.stop()
	}
	s.idle, s.carriers = nil, nil
	s.L.Close()
	s.forget()
	close(s.ended)
}

// forget lets go of everything of Lua, lest one of its objects, which the garbage
// collector reports to the state, is kept by the state itself.
func (s *state) forget() {
	s.L, s.sink, s.handlers, s.types, s.modules = nil, nil, handlers{}, types{}, nil
	s.module, s.drop, s.null, s.array, s.concat, s.next, s.methods, s.sealed, s.handleError, s.failing, s.direction = nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, [2]lua.LValue{}
}

// settled is told that an operation has ended that no fiber waited for.
func (s *state) settled() {
	if s.L == nil { // ended by force
		return
	}
	s.pending--
	if s.closing {
		s.checkEnded()
	}
}

// kill ends what did not end by itself.
func (s *state) kill() (left int) {
	if s.L == nil {
		return 0
	}
	left = len(s.active) + s.pending
	s.closing = true
	for t := range s.timers {
		t.stop()
	}
	for f := range s.active {
		s.running = f
		s.meter.set(abortedBudget)
		f.waiting, f.parked = nil, false // whatever wakes it comes too late
		if f.sleep != nil {
			f.sleep.Stop()
		}
		if f.carrier != nil {
			f.carrier.stop()
		}
		s.running = nil
	}
	clear(s.active)
	s.resolver.cancel()
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
	case *completion.Socket:
		_ = v.Close() // it was just connected
	}
}

// closeAppender closes an appender, which takes as long as it has to write.
func (s *state) closeAppender(a *completion.Appender) {
	o := s.worker.CreateOverlapped()
	err := o.SetNotificationInterface(completion.CompletionFunc(func(_ bool, _ int, err error, _ *completion.Overlapped, _ any) {
		if err != nil {
			s.logger.Error("a file that was appended to could not be finished", "path", a.Path(), "error", err)
		}
		s.settled()
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
