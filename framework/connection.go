package framework

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"fwx/framework/completion"
)

// Connection is one proxied connection (IFWXConnection): the client's side,
// the server's side, and the data filters between them. It lives on one
// worker; all its methods but ID, Client and Worker are called there only.
type Connection struct {
	fw       *Firewall
	worker   *completion.Worker
	id       uint64
	listener *listener
	session  *Session
	client   completion.Address
	server   completion.Address
	started  time.Duration // on the worker's clock

	internal, external *completion.Socket // the client's side, the server's
	event              Event
	attempts           attempts // to connect to a server
	chain              []link
	values             []value
	flows              [2]flow

	phase    phase
	handling bool // an event handler runs: data filters may be attached
	detached bool // the data filters have been told of the end
	outcome  Outcome
	reason   string
	duration time.Duration

	active time.Duration // when something was last received or sent
	idle   *completion.Timer
	limit  *completion.Timer // of the phase
}

// settling is a connection as the task that settles its end.
type settling Connection

type phase uint8

const (
	phaseEvents  phase = iota // the handlers are asked
	phaseConnect              // a server is being connected to
	phasePump                 // data flows
	phaseDrain                // the sockets are closed; operations and held chunks come back
	phaseEnded                // the filters are told
)

// link is a data filter in the chain.
type link struct {
	filter DataFilter
	owner  *filter
	class  PriorityClass
}

type value struct {
	key, value any
}

// Outcome is how a connection went.
type Outcome uint8

// The outcomes.
const (
	// Passed: it was let through and has ended, or goes on.
	Passed Outcome = iota
	// Denied: a filter refused it.
	Denied
	// Failed: it could not be connected, a filter failed, or a side broke off.
	Failed
)

// String returns "pass", "deny" or "fail".
func (o Outcome) String() string {
	switch o {
	case Passed:
		return "pass"
	case Denied:
		return "deny"
	case Failed:
		return "fail"
	}
	return "unknown"
}

// ID returns the connection's number, unique in the life of the service.
func (c *Connection) ID() uint64 { return c.id }

// Worker returns the worker that the connection lives on.
func (c *Connection) Worker() *completion.Worker { return c.worker }

// Client returns the client's address.
func (c *Connection) Client() completion.Address { return c.client }

// Server returns the server's address; the zero Address before one is chosen.
func (c *Connection) Server() completion.Address { return c.server }

// Listener returns the name of the listener that accepted the connection.
func (c *Connection) Listener() string { return c.listener.config.Name }

// Upstream returns the name of the upstream that the connection goes to.
func (c *Connection) Upstream() string { return c.listener.upstream.config.Name }

// Session returns the client's session.
func (c *Connection) Session() *Session { return c.session }

// Bytes returns how many bytes have been received from the side that a
// direction comes from.
func (c *Connection) Bytes(dir Direction) uint64 { return c.flows[dir].bytes }

// Duration returns how long the connection has lasted.
func (c *Connection) Duration() time.Duration {
	if c.phase == phaseEnded {
		return c.duration
	}
	return c.worker.Now() - c.started
}

// Outcome returns how the connection went so far.
func (c *Connection) Outcome() Outcome { return c.outcome }

// Reason says why it was ended, if it was not by both sides in agreement.
func (c *Connection) Reason() string { return c.reason }

// Ended reports whether the connection is over, or about to be.
func (c *Connection) Ended() bool { return c.phase >= phaseDrain }

// Value returns what was stored by SetValue under a key.
func (c *Connection) Value(key any) any {
	for i := range c.values {
		if c.values[i].key == key {
			return c.values[i].value
		}
	}
	return nil
}

// SetValue stores a value under a key, a filter's own object for instance.
func (c *Connection) SetValue(key, v any) {
	for i := range c.values {
		if c.values[i].key == key {
			c.values[i].value = v
			return
		}
	}
	c.values = append(c.values, value{key, v})
}

// AttachDataFilter puts a data filter into the connection's chain
// (IFWXConnection::AttachDataFilter). Outside an event handler it is
// ErrBadContext, on a connection that has ended ErrTerminating.
func (c *Connection) AttachDataFilter(df DataFilter) error {
	switch {
	case !c.handling:
		return ErrBadContext
	case c.Ended():
		return ErrTerminating
	case df == nil:
		return errors.New("attach of a nil data filter")
	}
	owner := c.listener.filters[c.event.next]
	i := len(c.chain)
	for i > 0 && c.chain[i-1].class > owner.config.Class {
		i--
	}
	c.chain = slices.Insert(c.chain, i, link{filter: df, owner: owner, class: owner.config.Class})
	return nil
}

// Close ends the connection (IFWXConnection::Kill). What has been received and
// not yet sent is dropped. No filter is called before Close has returned.
func (c *Connection) Close() { c.end(false) }

// Reset is Close so that both sides see the connection reset.
func (c *Connection) Reset() { c.end(true) }

// Resume gives the verdict on a chunk that a data filter deferred by Hold. When
// nothing is held in that direction it is ErrBadContext. The filters whose turn
// it is then are called before it returns.
func (c *Connection) Resume(dir Direction, v Verdict) error {
	if v.kind == verdictHold {
		return ErrBadContext
	}
	return c.flows[dir].resume(v)
}

// Send injects data into a direction, behind what has been sent already and
// without asking any filter. The data must not change any more. It is
// ErrQueueFull when more than 1 MiB would wait for the receiver, ErrBadContext
// before the connection stands, and ErrTerminating behind the end of the stream.
func (c *Connection) Send(dir Direction, data []byte) error {
	switch {
	case c.Ended():
		return ErrTerminating
	case c.phase != phasePump:
		return ErrBadContext
	}
	return c.flows[dir].inject(data)
}

// Go runs work, which may block, on a thread of the port's pool, and then
// calls done on the connection's worker, also when the connection has ended
// meanwhile. The handler that calls Go answers Hold, and done resumes.
func (c *Connection) Go(work func() error, done func(error)) error {
	o := c.worker.CreateOverlapped()
	err := o.SetNotificationInterface(completion.CompletionFunc(
		func(_ bool, _ int, err error, _ *completion.Overlapped, _ any) { c.done(done, err) }), nil)
	if err != nil {
		return err
	}
	return c.worker.RunBlocking(o, func() (any, error) { return nil, work() })
}

// done tells a filter that its work is done. If that panics, nobody will
// resume what is held, so the connection fails.
func (c *Connection) done(done func(error), err error) {
	defer func() {
		if r := recover(); r != nil {
			c.panicked(c.holder(), r)
			c.fail("a filter panicked behind Connection.Go")
		}
	}()
	done(err)
}

// begin starts the life of a connection, on its worker.
func (c *Connection) begin() {
	c.started = c.worker.Now()
	c.limit = c.worker.NewTimer(c.timedOut)
	c.event.Connection = c
	c.raise(AcceptedConnection)
}

// raise tells the filters an event, one after the other.
func (c *Connection) raise(event EventMask) {
	c.event.Type, c.event.next = event, 0
	c.tell()
}

// tell tells the event to the filters whose turn has not been, until one
// holds or denies, and then takes the next step of the connection's life.
func (c *Connection) tell() {
	ev := &c.event
	for ev.next < len(c.listener.filters) {
		f := c.listener.filters[ev.next]
		a, err := c.attach(f)
		if err != nil {
			c.fail(fmt.Sprintf("filter %q: attach to session: %v", f.config.Name, err))
			return
		}
		if a.filter == nil || a.mask&ev.Type == 0 {
			ev.next++
			continue
		}
		ev.handler = f.config.Name
		v := c.handle(a.filter)
		if v.kind == verdictHold {
			ev.held = true
			return
		}
		if !c.judge(v) {
			return
		}
		ev.next++
	}
	c.told()
}

// attach attaches a filter to the session, if the event is the first that it
// wants there; a panic in it makes the connection fail.
func (c *Connection) attach(f *filter) (a attachment, err error) {
	defer func() {
		if r := recover(); r != nil {
			c.panicked(f.config.Name, r)
			err = errors.New("it panicked")
		}
	}()
	return c.session.attach(f, c.event.Type)
}

// handle calls an event handler; a panic in it makes the connection fail.
func (c *Connection) handle(sf SessionFilter) (v Verdict) {
	c.handling = true
	defer func() {
		c.handling = false
		if r := recover(); r != nil {
			c.panicked(c.event.handler, r)
			v = Fail(fmt.Sprintf("filter %q panicked", c.event.handler))
		}
	}()
	return sf.FirewallEventHandler(&c.event)
}

func (c *Connection) panicked(filter string, r any) {
	c.fw.logger.Error("a filter panicked", "filter", filter, "connection", c.id,
		"panic", fmt.Sprint(r), "stack", string(debug.Stack()))
}

// eventVerdict goes on with an event after a Hold.
func (c *Connection) eventVerdict(ev *Event, v Verdict) {
	if c.phase == phaseDrain { // it ended while the filter thought about it
		c.settle()
		return
	}
	if c.judge(v) {
		ev.next++
		c.tell()
	}
}

// judge carries out the verdict on an event; false if it ended the connection.
func (c *Connection) judge(v Verdict) bool {
	if c.event.Type == ConnectionTerminating {
		return true // nothing is left to deny
	}
	if c.Ended() {
		return false // by the handler itself
	}
	switch v.kind {
	case verdictPass:
		return true
	case verdictDeny:
		c.deny(c.event.handler, v.reason)
	case verdictFail:
		c.fail(fmt.Sprintf("filter %q: %s", c.event.handler, v.reason))
	default:
		c.fail(fmt.Sprintf("filter %q: verdict %q does not suit an event", c.event.handler, v))
	}
	return false
}

// told takes the step behind an event.
func (c *Connection) told() {
	switch c.event.Type {
	case AcceptedConnection:
		c.chooseServer()
	case ConnectTCP:
		c.phase = phaseConnect
		c.connect()
	case ConnectionTerminating:
		c.gone()
	}
}

// deny ends the connection because a filter refused it.
func (c *Connection) deny(filter, reason string) {
	if c.outcome == Passed {
		c.outcome, c.reason = Denied, reason
	}
	c.fw.logger.Info("connection denied", "connection", c.id, "client", c.client.String(),
		"listener", c.Listener(), "filter", filter, "reason", reason)
	c.end(true)
}

// fail ends the connection because of an error.
func (c *Connection) fail(reason string) {
	if c.outcome == Passed {
		c.outcome, c.reason = Failed, reason
	}
	c.fw.logger.Warn("connection failed", "connection", c.id, "client", c.client.String(),
		"listener", c.Listener(), "reason", reason)
	c.end(true)
}

// broke ends the connection because one side broke it off, and lets the other
// see the same.
func (c *Connection) broke(err error) {
	c.blame(err)
	c.end(true)
}

// blame notes the first error that the connection met.
func (c *Connection) blame(err error) {
	if c.outcome == Passed {
		c.outcome, c.reason = Failed, err.Error()
	}
}

// abort ends the connection because the service ends.
func (c *Connection) abort() {
	if !c.Ended() {
		c.broke(errors.New("the service was shut down"))
	}
}

// end closes both sides. The rest waits for what is in flight on them, and for
// whoever has called.
func (c *Connection) end(reset bool) {
	if c.phase >= phaseDrain {
		return
	}
	c.phase = phaseDrain
	c.attempts.cancel()
	for _, s := range []*completion.Socket{c.internal, c.external} {
		if s == nil || s.Closed() {
			continue
		}
		if reset {
			_ = s.Reset() // it is open
		} else {
			_ = s.Close() // it is open
		}
	}
	if c.idle != nil {
		c.idle.Stop()
	}
	c.limit.Reset(c.fw.patience)
	c.settle()
}

// settle queues the next step of the end. It comes as a task, so that no filter
// is told of an end in the midst of one of its own calls.
func (c *Connection) settle() {
	if err := c.worker.PostTaskCompletion((*settling)(c), nil); err != nil {
		c.drained() // the port is closed: it is the worker that calls
	}
}

// ending takes the next step of the end, if it has come to that. Only a
// completion does so, at its own end: no filter is being called then.
func (c *Connection) ending() {
	if c.phase == phaseDrain {
		c.drained()
	}
}

// CompleteTask takes the next step of the end.
func (s *settling) CompleteTask(any) { (*Connection)(s).drained() }

// drained tells the data filters of the end, and goes on when everything of the
// connection has come back: the operations on its sockets, and the chunks and
// events that filters hold.
func (c *Connection) drained() {
	if c.phase != phaseDrain {
		return
	}
	c.detach()
	if c.busy() {
		return
	}
	for i := range c.flows {
		c.flows[i].release()
	}
	c.duration = c.worker.Now() - c.started
	c.phase = phaseEnded
	c.limit.Reset(c.fw.patience)
	c.raise(ConnectionTerminating)
}

// busy reports whether something of the connection is in flight or held.
func (c *Connection) busy() bool {
	return c.handling || c.event.held || c.attempts.inFlight() || c.flows[Upstream].busy() || c.flows[Downstream].busy()
}

// detach tells the data filters once that the connection has ended.
func (c *Connection) detach() {
	if c.detached {
		return
	}
	c.detached = true
	for i := range c.chain {
		if d, ok := c.chain[i].filter.(Detacher); ok {
			c.guard(c.chain[i].owner, d.Detach)
		}
	}
}

// gone is the end: nothing refers to the connection any more.
func (c *Connection) gone() {
	c.limit.Stop()
	c.fw.sessions.close(c.session)
	c.fw.closed(c)
}

// guard calls a filter; a panic in it is logged and ends there.
func (c *Connection) guard(f *filter, call func()) {
	defer func() {
		if r := recover(); r != nil {
			c.panicked(f.config.Name, r)
		}
	}()
	call()
}

// timedOut is called when a phase has lasted too long.
func (c *Connection) timedOut() {
	switch c.phase {
	case phaseConnect:
		c.attempts.cancel()
	case phaseDrain, phaseEnded:
		c.abandon()
	case phaseEvents, phasePump:
	}
}

// abandon goes on without a filter that does not let go of a connection that
// has ended: the others must be told all the same.
func (c *Connection) abandon() {
	c.fw.logger.Error("a connection that has ended is kept", "connection", c.id, "by", c.holder(),
		"event", c.event.Type.String(), "after", c.fw.patience)
	if c.phase == phaseEnded {
		c.limit.Reset(c.fw.patience)
		_ = c.event.Resume(Pass) // ErrBadContext: nothing is held
		return
	}
	c.event.held = false
	for i := range c.flows {
		c.flows[i].abandon()
	}
	c.drained()
}

// pump lets the data flow.
func (c *Connection) pump() {
	c.phase = phasePump
	c.limit.Stop()
	c.active = c.worker.Now()
	if timeout := c.listener.config.IdleTimeout; timeout > 0 {
		c.idle = c.worker.AfterFunc(timeout, c.checkIdle)
	}
	err := errors.Join(
		c.flows[Upstream].open(c, Upstream, c.internal, c.external),
		c.flows[Downstream].open(c, Downstream, c.external, c.internal),
	)
	if err != nil {
		c.fail(err.Error())
		return
	}
	for i := range c.flows {
		if !c.Ended() {
			c.flows[i].receive()
		}
	}
}

// checkIdle ends a connection on which nothing has moved for too long. The
// timer is not touched by the traffic; it looks and comes again.
func (c *Connection) checkIdle() {
	timeout := c.listener.config.IdleTimeout
	if c.holder() != "" { // that is not the connection's idleness
		c.active = c.worker.Now()
	}
	if left := timeout - (c.worker.Now() - c.active); left > 0 {
		c.idle.Reset(left)
		return
	}
	if c.outcome == Passed {
		c.reason = fmt.Sprintf("idle for %v", timeout)
	}
	c.end(false)
}

// holder returns the name of the filter that keeps the connection waiting.
func (c *Connection) holder() string {
	if c.event.held {
		return c.event.handler
	}
	for i := range c.flows {
		if c.flows[i].state == flowHeld {
			return c.flows[i].link().owner.config.Name
		}
	}
	return ""
}

// LogValue describes the connection in a log line.
func (c *Connection) LogValue() slog.Value {
	return slog.GroupValue(slog.Uint64("id", c.id), slog.String("client", c.client.String()))
}
