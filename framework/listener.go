package framework

import (
	"context"
	"fmt"
	"sync/atomic"

	"fwx/framework/completion"
	"fwx/framework/internal/certs"
	"fwx/framework/metrics"
)

// listener is what generations do with the clients of one address. A generation takes over the
// listener of the previous one, with its connections, if nothing about it has changed.
type listener struct {
	fw         *Firewall
	generation atomic.Pointer[generation] // the latest generation that has it
	users      atomic.Int64               // number of connections, plus one while the listener is in force
	replaced   atomic.Bool                // the current generation does not have the listener
	config     ListenerConfig
	upstream   *upstream
	filters    []*filter
	tls        *certs.Server // nil: TLS is not used

	accepted *metrics.Counter
	ended    [Failed + 1]*metrics.Counter // by outcome
	bytes    [2]*metrics.Counter          // by direction

	http         *filter // the owner of the HTTP emulation; nil: the protocol is not "http"
	routes       []*route
	httpRequests [6]*metrics.Counter // by the first digit of the status
	httpServers  [2]*metrics.Counter // connections to servers: new, reused
	httpSeconds  *metrics.Histogram
	httpActive   *metrics.Gauge
	httpSpooled  *metrics.Gauge
	spoolDir     string
	spooled      atomic.Int64 // size of the spooled bodies in bytes

	httpCutOff        *metrics.Counter                   // clients that read too slowly
	httpMemoryRefused *metrics.Counter                   // exchanges refused because of body_memory
	shed              *metrics.Counter                   // connections ended to free receive buffers
	httpUndecodable   [len(undecodable)]*metrics.Counter // in the order of undecodable

	messages        [2]*metrics.Counter               // by direction
	webSocketCloses [len(closeCodes)]*metrics.Counter // in the order of closeCodes

	acceptor *acceptor                          // may be taken over from the previous generation
	address  atomic.Pointer[completion.Address] // address of the socket, for all goroutines
}

func newListener(g *generation, config ListenerConfig) *listener {
	l := &listener{fw: g.fw, config: config}
	l.generation.Store(g)
	l.users.Store(1)
	return l
}

// carried reports whether the listener belongs to a generation other than g: the one that g
// will replace, or one that has replaced g.
func (l *listener) carried(g *generation) bool { return l.generation.Load() != g }

// count occupies a place for a connection that will live on a worker. It returns false if no
// place is free.
func (l *listener) count(w *completion.Worker) bool {
	if !l.fw.count(w) {
		return false
	}
	l.users.Add(1)
	return true
}

// uncount gives up the place of a connection.
func (l *listener) uncount(w *completion.Worker) {
	l.fw.uncount(w)
	l.leave()
}

// leave notes that one user less is left. With the last one the generation no longer uses the
// listener.
func (l *listener) leave() {
	if l.users.Add(-1) == 0 {
		l.generation.Load().leave()
	}
}

// wanted returns the configured address.
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

// take takes over an acceptor, which does not serve the listener yet.
func (l *listener) take(a *acceptor) {
	address := a.socket.Address()
	l.acceptor = a
	l.address.Store(&address)
}

// admit makes an accepted connection a connection of its worker, on which it runs.
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
