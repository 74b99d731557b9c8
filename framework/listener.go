package framework

import (
	"context"
	"fmt"
	"sync/atomic"

	"fwx/framework/completion"
	"fwx/framework/metrics"
)

// listener is what generations do with the clients of one address. A generation carries
// over the one of the generation before if all of it is the same, and its connections
// with it.
type listener struct {
	fw         *Firewall
	generation atomic.Pointer[generation] // the latest that has it
	users      atomic.Int64               // connections, and one more while it is in force
	replaced   atomic.Bool                // the current generation does not have it
	config     ListenerConfig
	upstream   *upstream
	filters    []*filter
	tls        *listenerTLS // nil: it does not speak TLS

	accepted *metrics.Counter
	ended    [Failed + 1]*metrics.Counter // by outcome
	bytes    [2]*metrics.Counter          // by direction

	http         *filter // what emulates servers; nil: the protocol is not http
	routes       []*route
	httpRequests [6]*metrics.Counter // by the first digit of the status
	httpServers  [2]*metrics.Counter // connections to servers: new ones, reused ones
	httpSeconds  *metrics.Histogram
	httpActive   *metrics.Gauge
	httpSpooled  *metrics.Gauge
	spoolDir     string
	spooled      atomic.Int64 // bytes there

	httpCutOff        *metrics.Counter                   // clients that have taken too little
	httpMemoryRefused *metrics.Counter                   // exchanges that wanted more than body_memory
	shed              *metrics.Counter                   // connections that had to make room
	httpUndecodable   [len(undecodable)]*metrics.Counter // as undecodable has them

	messages        [2]*metrics.Counter               // by direction
	webSocketCloses [len(closeCodes)]*metrics.Counter // as closeCodes has them

	acceptor *acceptor                          // may have been that of the generation before
	address  atomic.Pointer[completion.Address] // of its socket, for everyone
}

func newListener(g *generation, config ListenerConfig) *listener {
	l := &listener{fw: g.fw, config: config}
	l.generation.Store(g)
	l.users.Store(1)
	return l
}

// carried reports whether the listener belongs to another generation than g: to the one
// that g will replace, or to one that has replaced g.
func (l *listener) carried(g *generation) bool { return l.generation.Load() != g }

// count takes the place of a connection, which will live on a worker; false if all
// are taken.
func (l *listener) count(w *completion.Worker) bool {
	if !l.fw.count(w) {
		return false
	}
	l.users.Add(1)
	return true
}

// uncount gives it back.
func (l *listener) uncount(w *completion.Worker) {
	l.fw.uncount(w)
	l.leave()
}

// leave is for one user less; the last one is the generation's end of it.
func (l *listener) leave() {
	if l.users.Add(-1) == 0 {
		l.generation.Load().leave()
	}
}

// wanted returns the address that the configuration gives.
func (l *listener) wanted() (completion.Address, error) {
	return l.generation.Load().config.address(l.config.Listen)
}

// open binds the address, on a worker.
func (l *listener) open(ctx context.Context, w *completion.Worker) error {
	address, err := l.wanted()
	if err == nil {
		var a *acceptor
		if a, err = openAcceptor(ctx, l.fw, w, address); err == nil {
			l.take(a)
			return nil
		}
	}
	return fmt.Errorf("listener %q: %w", l.config.Name, err)
}

// take makes an acceptor the one of the listener, which it does not serve yet.
func (l *listener) take(a *acceptor) {
	address := a.socket.Address()
	l.acceptor = a
	l.address.Store(&address)
}

// admit makes an accepted connection a connection of its worker. It runs there.
func (l *listener) admit(c *Connection, a completion.Accepted) {
	socket, err := c.worker.Attach(a)
	if err != nil {
		l.fw.logger.Warn("an accepted connection was lost", "listener", l.config.Name, "client", a.Remote.String(), "error", err)
		l.uncount(c.worker)
		return
	}
	c.fw, c.listener, c.upstream, c.id = l.fw, l, l.upstream, l.fw.lastID.Add(1)
	c.setPeer(socket)
	l.fw.live[c.worker.Index()].connections[c] = struct{}{}
	l.accepted.Add(c.worker.Index(), 1)
	c.begin()
}
