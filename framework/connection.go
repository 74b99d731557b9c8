package framework

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"fwx/framework/completion"
)

// Connection is one proxied connection (IFWXConnection): the client's side, the server's side,
// and the data filters between them. It lives on one worker. All its methods but ID, Client
// and Worker are called on that worker only.
type Connection struct {
	fw       *Firewall
	worker   *completion.Worker
	id       uint64
	listener *listener
	session  *Session
	client   completion.Address
	server   completion.Address
	started  time.Duration // on the worker's clock

	internal, external stream     // the client's side and the server's side; nil until there is one
	handshake          *handshake // state of TLS with the client; nil: the listener does not terminate or inspect TLS
	event              Event
	upstream           *upstream
	attempts           attempts // the attempts to connect to a server
	chain              []dataLink
	emulation          *emulation // the emulator of the server; nil: the server is a real one
	httpFilters        []httpLink
	values             values
	flows              [2]flow

	origin      *Expected   // the expectation that a secondary connection fulfills; nil: the connection is a primary one
	pending     []*Expected // secondary connections that are expected
	secondaries int         // number of its secondary connections

	phase    phase
	handling bool // an event handler is running: data filters may be attached
	detached bool // the data filters have been told that the connection has ended
	outcome  Outcome
	by       EndedBy
	reason   string
	duration time.Duration

	active     time.Duration // when data was last received or sent
	idle       *completion.Timer
	phaseTimer *completion.Timer // bounds how long the phase lasts
}

type phase uint8

const (
	phaseEvents    phase = iota // event handlers are being asked
	phaseHandshake              // TLS with the client is being set up
	phaseConnect                // a server is being connected
	phasePump                   // data flows
	phaseDrain                  // the sockets are closed; pending operations and held chunks are awaited
	phaseEnded                  // the filters are told that the connection has ended
)

// link is a filter in a chain.
type link[F any] struct {
	filter F
	owner  *filter
	class  PriorityClass
}

type dataLink = link[DataFilter]

// attached returns a chain with one more filter, after those of its owner's class.
func attached[F any](chain []link[F], f F, owner *filter) []link[F] {
	i := len(chain)
	for i > 0 && chain[i-1].class > owner.config.Class {
		i--
	}
	return slices.Insert(chain, i, link[F]{f, owner, owner.config.Class})
}

// values are what filters have stored; there are few of them.
type values []value

type value struct {
	key, value any
}

func (list values) get(key any) any {
	for i := range list {
		if list[i].key == key {
			return list[i].value
		}
	}
	return nil
}

func (list *values) set(key, v any) {
	for i := range *list {
		if (*list)[i].key == key {
			(*list)[i].value = v
			return
		}
	}
	*list = append(*list, value{key, v})
}

// Outcome says how a connection went.
type Outcome uint8

// The outcomes.
const (
	// Passed: the connection was let through. It has ended, or is still open.
	Passed Outcome = iota
	// Denied: a filter denied the connection.
	Denied
	// Failed: no server could be connected, a filter failed, or one side broke the connection
	// off.
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

// Worker returns the worker on which the connection lives.
func (c *Connection) Worker() *completion.Worker { return c.worker }

// Client returns the client's address.
func (c *Connection) Client() completion.Address { return c.client }

// Server returns the server's address. It is the zero Address before a server is chosen, if
// none is available, and if the server is emulated.
func (c *Connection) Server() completion.Address { return c.server }

// LocalAddress returns the gateway's own address on the side that a direction comes from
// (Downstream: IFWXConnection::GetExternalSocketName). It is the zero AddrPort for a unix
// socket, and while there is no socket.
func (c *Connection) LocalAddress(dir Direction) netip.AddrPort {
	if side := c.side(dir); side != nil {
		return side.LocalAddrPort()
	}
	return netip.AddrPort{}
}

// side returns the side that a direction comes from.
func (c *Connection) side(dir Direction) stream {
	if dir == Upstream {
		return c.internal
	}
	return c.external
}

// Listener returns the name of the listener that accepted the connection.
func (c *Connection) Listener() string { return c.listener.config.Name }

// Upstream returns the name of the upstream that the connection goes to.
func (c *Connection) Upstream() string { return c.upstream.config.Name }

// Session returns the client's session.
func (c *Connection) Session() *Session { return c.session }

// Bytes returns how many bytes were received from the side that a direction comes from.
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

// EndedBy returns who ended the connection.
func (c *Connection) EndedBy() EndedBy { return c.by }

// Reason says why the connection ended, unless both sides ended it in agreement.
func (c *Connection) Reason() string { return c.reason }

// Ended reports whether the connection has ended, or is about to.
func (c *Connection) Ended() bool { return c.phase >= phaseDrain }

// Value returns what SetValue stored under a key.
func (c *Connection) Value(key any) any { return c.values.get(key) }

// SetValue stores a value under a key, for instance a filter's own object.
func (c *Connection) SetValue(key, v any) { c.values.set(key, v) }

// AttachDataFilter adds a data filter to the connection's chain
// (IFWXConnection::AttachDataFilter). It returns ErrBadContext outside an event handler, and
// ErrTerminating if the connection has ended.
func (c *Connection) AttachDataFilter(df DataFilter) error {
	switch {
	case !c.handling:
		return ErrBadContext
	case c.Ended():
		return ErrTerminating
	case df == nil:
		return errors.New("attach of a nil data filter")
	}
	c.chain = attached(c.chain, df, c.listener.filters[c.event.next])
	return nil
}

// Close ends the connection (IFWXConnection::Kill). Data that was received and not yet sent is
// dropped. No filter is called before Close has returned.
func (c *Connection) Close() {
	c.noteEnd(ByFilter, "a filter has closed the connection")
	c.end(false)
}

// Reset is like Close, but resets the connection on both sides.
func (c *Connection) Reset() {
	c.noteEnd(ByFilter, "a filter has reset the connection")
	c.end(true)
}

// KeepChunk copies the chunk of a direction out of its receive buffer, and returns the copy. A
// worker has fewer receive buffers than it may have connections, so a data filter that is
// going to answer Hold should call KeepChunk in Data if it can work on a copy.
func (c *Connection) KeepChunk(dir Direction) []byte { return c.flows[dir].keep() }

// Resume gives the verdict on a chunk that a data filter deferred by Hold. It returns
// ErrBadContext if nothing is held in that direction. The remaining filters are called before
// it returns.
func (c *Connection) Resume(dir Direction, v Verdict) error {
	if v.kind == verdictHold {
		return ErrBadContext
	}
	return c.flows[dir].resume(v)
}

// Send injects data into a direction, after what has been sent already and without asking any
// filter. The data must not be changed afterwards. It returns ErrQueueFull if more than 1 MiB
// would wait for the receiver, ErrBadContext before the connection is established and towards
// a server that is emulated, and ErrTerminating after the end of the stream.
func (c *Connection) Send(dir Direction, data []byte) error {
	switch {
	case c.Ended():
		return ErrTerminating
	case c.phase != phasePump:
		return ErrBadContext
	case c.emulation != nil:
		return c.emulation.send(dir, data)
	}
	return c.flows[dir].inject(data)
}

// Go runs work, which may block, on a thread of the port's pool, and then calls done on the
// connection's worker, even if the connection has ended meanwhile. The handler that calls Go
// answers Hold, and done resumes.
func (c *Connection) Go(work func() error, done func(error)) error {
	o := c.worker.CreateOverlapped()
	err := o.SetNotificationInterface(completion.CompletionFunc(
		func(_ bool, _ int, err error, _ *completion.Overlapped, _ any) { c.done(done, err) }), nil)
	if err != nil {
		return err
	}
	return c.worker.RunBlocking(o, func() (any, error) { return nil, work() })
}

// done tells a filter that its work is done. If the filter panics, nothing would resume what
// it holds, so the connection fails.
func (c *Connection) done(done func(error), err error) {
	defer func() {
		if r := recover(); r != nil {
			c.panicked(c.holder(), r)
			c.fail(ByFilter, "a filter panicked after Connection.Go")
		}
	}()
	done(err)
}

// pump starts the data flows.
func (c *Connection) pump() {
	c.phase = phasePump
	c.phaseTimer.Stop()
	c.active = c.worker.Now()
	if timeout := c.listener.config.IdleTimeout; timeout > 0 {
		c.idle = c.worker.AfterFunc(timeout, c.checkIdle)
	}
	err := errors.Join(
		c.flows[Upstream].open(c, Upstream),
		c.flows[Downstream].open(c, Downstream),
	)
	if err != nil {
		c.fail(ByGateway, err.Error())
		return
	}
	for i := range c.flows {
		if !c.Ended() && c.flows[i].recv != nil {
			c.flows[i].begin()
		}
	}
	if c.emulation != nil {
		c.emulation.maySend()
	}
}

// checkIdle ends a connection on which no data has moved for too long. The timer is not reset
// for each chunk; when it fires early it is rearmed.
func (c *Connection) checkIdle() {
	timeout := c.listener.config.IdleTimeout
	if c.waitsForFilter() || c.secondaries > 0 { // waiting for these does not count as idle
		c.active = c.worker.Now()
	}
	if left := timeout - (c.worker.Now() - c.active); left > 0 {
		c.idle.Reset(left)
		return
	}
	c.noteEnd(ByLimit, fmt.Sprintf("idle for %v", timeout))
	c.end(false)
}

// waitsForFilter reports whether the connection waits for a filter. What protocol "http"
// itself holds waits for one of the sides, which may be idle.
func (c *Connection) waitsForFilter() bool {
	for i := range c.flows {
		if f := &c.flows[i]; f.state == flowHeld && f.link().owner != c.listener.http {
			return true
		}
	}
	h := c.clientConn()
	return c.event.held || h != nil && h.x != nil && (h.x.up.held || h.x.down.held)
}

// holder returns the name of the filter for which the connection waits.
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
