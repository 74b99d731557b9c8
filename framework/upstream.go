package framework

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"fwx/framework/balance"
	"fwx/framework/completion"
	"fwx/framework/internal/certs"
	"fwx/framework/tlsstream"
)

// upstream is a set of equivalent servers.
type upstream struct {
	config   UpstreamConfig
	balancer *balance.Upstream
	tls      *certs.Client // nil: TLS is not used with the servers
	header   string        // field whose value chooses the server, in lower case; empty: the client's address does
	begun    bool          // the balancer has been started
	retired  atomic.Bool   // no future generation uses the upstream, so connections are not kept idle
}

// makeUpstreams makes the upstreams. An upstream that has not changed is taken over from the
// current generation, with its idle connections, its health and its TLS sessions. If only its
// servers are unchanged, the balancer is taken over. current is nil if there is no such
// generation.
func (g *generation) makeUpstreams(current *generation) {
	for i, uc := range g.config.Upstreams {
		u := &upstream{config: uc, tls: g.upstreamTLS[i], header: uc.hashHeader()}
		config, targets := uc.balance(), g.config.targets(uc)
		switch before := current.upstreamOf(uc.Name); {
		case before == nil || !before.balancer.Same(config, targets):
			u.balancer = balance.New(config, targets, g.fw.logger)
		case before.config.same(uc) && slices.Equal(before.tls.Files(), u.tls.Files()):
			u = before
		default:
			u.balancer, u.begun = before.balancer, true
		}
		g.upstreams = append(g.upstreams, u)
	}
}

// upstreamOf returns the upstream with a name; nil if there is none.
func (g *generation) upstreamOf(name string) *upstream {
	if g == nil {
		return nil
	}
	if i := g.config.upstream(name); i >= 0 {
		return g.upstreams[i]
	}
	return nil
}

// balancerOf returns the balancer of the upstream with a name; nil if there is none.
func (g *generation) balancerOf(name string) *balance.Upstream {
	if u := g.upstreamOf(name); u != nil {
		return u.balancer
	}
	return nil
}

// retire closes the idle connections of an upstream that was replaced, and keeps no new ones.
// The balancer continues if another upstream has it.
func (u *upstream) retire(fw *Firewall) {
	u.retired.Store(true)
	for i, w := range fw.port.Workers() {
		_ = w.Post(func() { // an error means that the service has ended
			if h := fw.live[i].http; h != nil {
				h.drop(func(s *serverConn) bool { return s.key.upstream == u })
			}
		})
	}
}

// balances reports whether a balancer belongs to an upstream of the generation.
func (g *generation) balances(servers *balance.Upstream) bool {
	return slices.ContainsFunc(g.upstreams, func(u *upstream) bool { return u.balancer == servers })
}

// resolve looks up the names of the servers of balancers that have not been started.
func (g *generation) resolve(ctx context.Context) error {
	var errs []error
	for _, u := range g.upstreams {
		if !u.begun {
			errs = append(errs, g.config.findBuiltin(u.config), u.balancer.Resolve(ctx))
		}
	}
	return errors.Join(errs...)
}

// beginBalancers starts the balancers that have not been started. They take over from the
// current generation's balancer of the same upstream.
func (g *generation) beginBalancers() {
	current := g.fw.current.Load()
	if current == g { // it is the first
		current = nil
	}
	workers := g.fw.port.Workers()
	for i, u := range g.upstreams {
		if u.tls == nil {
			u.balancer.Secure(nil)
		} else {
			u.balancer.Secure(u.secureCheck)
		}
		if !u.begun {
			_ = u.balancer.Begin(workers[i%len(workers)], current.balancerOf(u.config.Name)) // an error means that the service has ended
			u.begun = true
		}
	}
}

// attempts is the process of connecting a connection to a server: to the one that was
// expected, or to those of its upstream, one after the other.
type attempts struct {
	overlapped *completion.Overlapped
	server     *balance.Server   // the server at which the connection occupies a place; nil: at none
	tried      []*balance.Server // servers that have failed
	stream     *tlsstream.Stream // the connected server, while the TLS handshake is in progress
	refusal    error             // why no server could be chosen
	lastErr    error
}

// maxAttempts bounds the servers that are tried for a connection.
const maxAttempts = 16

func (a *attempts) inFlight() bool {
	return a.stream != nil || a.overlapped != nil && a.overlapped.InFlight()
}

func (a *attempts) cancel() {
	switch {
	case a.stream != nil:
		a.stream.Abort(completion.ErrOperationAborted)
	case a.inFlight():
		_ = a.overlapped.Cancel() // in flight
	}
}

// release gives up the place at the server.
func (a *attempts) release() {
	if a.server != nil {
		a.server.Release()
		a.server = nil
	}
}

// serverFailed records that the server could not be connected.
func (a *attempts) serverFailed(err error) {
	a.lastErr = err
	if a.server != nil {
		a.server.Report(err)
		a.tried = append(a.tried, a.server)
		a.release()
	}
}

// chooseServer chooses a server and asks the filters. For an expected connection the server is
// known. If no server is available, a filter may still emulate one.
func (c *Connection) chooseServer() {
	if c.origin != nil {
		c.setServer(c.origin.to)
	} else {
		c.choose()
	}
	c.raise(ConnectTCP)
}

// choose occupies a place at a server of the upstream.
func (c *Connection) choose() {
	a := &c.attempts
	a.server, a.refusal = c.upstream.balancer.Choose(balance.AddressKey(c.client.Addr()), a.tried)
	if a.server != nil {
		c.setServer(a.server.Address())
	}
}

// setServer sets the server that is to be connected.
func (c *Connection) setServer(to completion.Address) {
	if !c.inward() { // otherwise the client is to be connected, and its address is set
		c.server = to
	}
}

// connect begins to connect to the chosen server, or to the next one if that fails at once.
func (c *Connection) connect() {
	a := &c.attempts
	if a.overlapped == nil {
		a.overlapped = c.worker.CreateOverlapped()
		if err := a.overlapped.SetNotificationInterface((*connecting)(c), nil); err != nil {
			c.fail(ByGateway, err.Error())
			return
		}
	}
	for c.mayConnect() {
		to := c.server
		if c.origin != nil {
			to = c.origin.to
		}
		err := c.worker.Connect(a.overlapped, to)
		if err == nil {
			c.phaseTimer.Reset(c.connectTimeout())
			return
		}
		c.serverFailed(err)
	}
	c.unreachable()
}

// mayConnect reports whether there is a server to try.
func (c *Connection) mayConnect() bool {
	a := &c.attempts
	if c.origin != nil {
		return a.lastErr == nil
	}
	return a.server != nil
}

// serverFailed chooses the next server after one that could not be connected.
func (c *Connection) serverFailed(err error) {
	a := &c.attempts
	a.serverFailed(err)
	if c.origin == nil && len(a.tried) < maxAttempts {
		c.choose()
	}
}

// unreachable ends a connection for which there is no server.
func (c *Connection) unreachable() {
	a := &c.attempts
	switch {
	case c.origin != nil:
		c.fail(ByServer, fmt.Sprintf("expected connection: %s could not be connected: %v", c.origin.to, a.lastErr))
	case a.lastErr == nil:
		c.fail(ByServer, fmt.Sprintf("upstream %q: %v", c.Upstream(), a.refusal))
	default:
		c.fail(ByServer, fmt.Sprintf("upstream %q: no server could be connected, the last one tried was %s: %v", c.Upstream(), c.server, a.lastErr))
	}
}

func (c *Connection) connectTimeout() time.Duration {
	return c.upstream.config.ConnectTimeout
}

// connecting is a connection as the notification of its connect.
type connecting Connection

// CompleteAsyncIO starts the pump, or tries the next server.
func (n *connecting) CompleteAsyncIO(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
	c := (*Connection)(n)
	socket, _ := o.TakeValue().(*completion.Socket)
	switch {
	case c.Ended():
		if socket != nil {
			_ = socket.Reset() // it has just been connected
		}
	case err == nil && c.upstream.tls != nil && c.origin == nil:
		c.secure(socket)
	case err == nil:
		c.connected(socket)
	default:
		c.tryNext(err)
	}
	c.afterCompletion()
}

// connected continues with a server that has been connected.
func (c *Connection) connected(side stream) {
	if s := c.attempts.server; s != nil {
		s.Report(nil)
	}
	c.attempts.overlapped, c.attempts.tried = nil, nil // free memory: many connections are long-lived
	c.setConnected(side)
	c.startPump()
}

// tryNext continues with the next server.
func (c *Connection) tryNext(err error) {
	if errors.Is(err, completion.ErrOperationAborted) {
		err = fmt.Errorf("connect timed out after %v", c.connectTimeout())
	}
	c.serverFailed(err)
	c.connect()
}

// secure begins the TLS handshake with the connected server.
func (c *Connection) secure(socket *completion.Socket) {
	a := &c.attempts
	stream, err := c.upstream.secure(socket, hostOf(a.server.Target().Text), c.secured)
	if err != nil {
		_ = socket.Reset() // it has just been connected
		c.tryNext(err)
		return
	}
	a.stream = stream
}

// secured is called when that handshake has ended.
func (c *Connection) secured(err error) {
	stream := c.attempts.stream
	c.attempts.stream = nil
	if err == nil && !c.Ended() {
		c.connected(stream)
	} else {
		_ = stream.Close() // it is open
		if !c.Ended() {
			c.tryNext(err)
		}
	}
	c.afterCompletion()
}

// SetUpstream chooses the upstream that the connection goes to. It may be called in the
// handlers of AcceptedConnection and ClientHello, before a server is chosen; anywhere else it
// returns ErrBadContext. It returns an *UnknownNameError if the name is not configured. If
// HTTP is spoken, this is the upstream of requests for which neither a route nor
// Exchange.SetUpstream names another.
func (c *Connection) SetUpstream(name string) error {
	g := c.listener.generation.Load()
	i := g.config.upstream(name)
	switch {
	case c.Ended():
		return ErrTerminating
	case c.event.Type != AcceptedConnection && c.event.Type != ClientHello || !c.handling && !c.event.held:
		return ErrBadContext
	case i < 0:
		known := make([]string, len(g.upstreams))
		for i, u := range g.upstreams {
			known[i] = u.config.Name
		}
		return &UnknownNameError{What: "upstream", Name: name, Known: known}
	}
	c.upstream = g.upstreams[i]
	return nil
}
