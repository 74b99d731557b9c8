package framework

import (
	"context"
	"fmt"
	"sync/atomic"

	"fwx/framework/completion"
	"fwx/framework/metrics"
)

// listener is what a generation does with the clients of one address.
type listener struct {
	generation *generation
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

	httpUndecodable [len(undecodable)]*metrics.Counter // as undecodable has them

	messages        [2]*metrics.Counter               // by direction
	webSocketCloses [len(closeCodes)]*metrics.Counter // as closeCodes has them

	acceptor *acceptor                          // may have been that of the generation before
	address  atomic.Pointer[completion.Address] // of its socket, for everyone
}

// wanted returns the address that the configuration gives.
func (l *listener) wanted() (completion.Address, error) {
	return l.generation.config.address(l.config.Listen)
}

// open binds the address, on a worker.
func (l *listener) open(ctx context.Context, w *completion.Worker) error {
	address, err := l.wanted()
	if err == nil {
		var a *acceptor
		if a, err = openAcceptor(ctx, l.generation.fw, w, address); err == nil {
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
	g := l.generation
	socket, err := c.worker.Attach(a)
	if err != nil {
		g.fw.logger.Warn("an accepted connection was lost", "listener", l.config.Name, "client", a.Remote.String(), "error", err)
		g.uncount(c.worker)
		return
	}
	c.fw, c.listener, c.upstream, c.id = g.fw, l, l.upstream, g.fw.lastID.Add(1)
	c.begun(socket)
	g.fw.live[c.worker.Index()].connections[c] = struct{}{}
	l.accepted.Add(c.worker.Index(), 1)
	c.begin()
}
