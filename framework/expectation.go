package framework

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"fwx/framework/completion"
)

// Expectation describes a secondary connection that is announced in the data of another one,
// such as the data connection of FTP or the media of a call.
type Expectation struct {
	// Direction says who connects: Upstream means the client, as in passive FTP, Downstream
	// the server, as in active FTP.
	Direction Direction
	// To is the address on the other side to which the gateway then connects. The filter must
	// judge it: a peer may announce any address.
	To netip.AddrPort
	// From says who may connect. If it is empty, only the address of this connection's peer
	// on that side may. To allow everyone, write 0.0.0.0/0 and ::/0.
	From []netip.Prefix
	// Local is the address on which to listen. Without an IP address it is the one that this
	// connection uses on that side; port 0 chooses a free port.
	Local netip.AddrPort
	// Timeout is how long to wait; 0 means 1 minute. The maximum is 10 minutes.
	Timeout time.Duration
	// Filter is the session filter that is told EstablishedConnection: the caller's own, or
	// nil.
	Filter SessionFilter
}

const (
	// maxExpected bounds the connections that one connection may expect at a time.
	maxExpected = 16

	defaultExpectation = time.Minute
	maxExpectation     = 10 * time.Minute
)

// Expected is a secondary connection that is awaited (IFWXFirewallAction). It ends when the
// connection arrives, when its time is up, when the connection that expects it ends, and by
// Cancel. It is used on that connection's worker only.
type Expected struct {
	parent     *Connection
	dir        Direction
	to         completion.Address
	from       []netip.Prefix
	requester  *filter // the filter that is told; nil: none
	socket     *completion.Listener
	overlapped *completion.Overlapped
	retry      *completion.Timer
	limit      *completion.Timer
	warned     bool // a failure has been logged
}

// Expect listens for one secondary connection and forwards it to its destination, through the
// filters of the listener (AllowFutureConnect, BindForClient, RedirectConnections).
// Expected.Address is the address that must be announced to the side that connects. To expect
// several connections, call Expect once for each.
//
// It returns ErrTerminating if the connection has ended, ErrBadContext if there is no socket
// on that side (yet, or because it is emulated), ErrTooManyConnections if 16 connections are
// expected already or the service has no place for another, and the system's error if it
// cannot listen.
func (c *Connection) Expect(e Expectation) (*Expected, error) {
	side := c.side(e.Direction)
	switch {
	case c.Ended():
		return nil, ErrTerminating
	case side == nil:
		return nil, ErrBadContext
	case len(c.pending) >= maxExpected:
		return nil, ErrTooManyConnections
	}
	if err := e.complete(side); err != nil {
		return nil, fmt.Errorf("expectation: %w", err)
	}
	x := &Expected{parent: c, dir: e.Direction, to: completion.Address{AddrPort: e.To}, from: e.From}
	if e.Filter != nil {
		if x.requester = c.filterOf(e.Filter); x.requester == nil {
			return nil, errors.New("expectation: the filter to be told is not attached to the session")
		}
	}
	if !c.listener.count(c.worker) {
		return nil, ErrTooManyConnections
	}
	if err := x.listen(e.Local, e.Timeout); err != nil {
		c.listener.uncount(c.worker)
		return nil, fmt.Errorf("expectation: %w", err)
	}
	c.pending = append(c.pending, x)
	return x, nil
}

// complete checks the expectation and fills in defaults.
func (e *Expectation) complete(side stream) error {
	peer, local := address(side.RemoteAddress().AddrPort), side.LocalAddrPort().Addr().Unmap()
	e.From = slices.Clone(e.From)
	if len(e.From) == 0 {
		if !peer.IsValid() {
			return errors.New("say who may connect: the peer has no IP address")
		}
		e.From = []netip.Prefix{netip.PrefixFrom(peer, peer.BitLen())}
	}
	if !e.Local.Addr().IsValid() {
		if !local.IsValid() {
			return errors.New("say where to listen: this side has no IP address")
		}
		e.Local = netip.AddrPortFrom(local, e.Local.Port())
	}
	if e.Timeout == 0 {
		e.Timeout = defaultExpectation
	}
	switch {
	case !e.To.IsValid() || e.To.Port() == 0:
		return fmt.Errorf("it cannot be connected to %q", e.To)
	case e.Timeout < 0 || e.Timeout > maxExpectation:
		return fmt.Errorf("wants a time of up to %v, not %v", maxExpectation, e.Timeout)
	}
	return nil
}

// address returns an IP address in the form that prefixes use.
func address(a netip.AddrPort) netip.Addr { return a.Addr().Unmap().WithZone("") }

// filterOf returns the filter to which a session filter belongs; nil if it is not attached to
// the connection's session.
func (c *Connection) filterOf(sf SessionFilter) *filter {
	if !reflect.ValueOf(sf).Comparable() {
		return nil
	}
	for _, f := range c.listener.filters {
		if c.session.attachment(f).filter == sf {
			return f
		}
	}
	return nil
}

func (x *Expected) listen(local netip.AddrPort, timeout time.Duration) (err error) {
	w := x.parent.worker
	x.overlapped = w.CreateOverlapped()
	if err := x.overlapped.SetNotificationInterface(x, nil); err != nil {
		return err
	}
	if x.socket, err = w.Listen(completion.Address{AddrPort: local}); err != nil {
		return err
	}
	if err := x.socket.Accept(x.overlapped); err != nil {
		_ = x.socket.Close() // it is open
		return err
	}
	x.retry = w.NewTimer(x.accept)
	x.limit = w.AfterFunc(timeout, x.Cancel)
	return nil
}

// Address returns the address on which the gateway listens for the connection.
func (x *Expected) Address() netip.AddrPort { return x.socket.Address().AddrPort }

// Cancel gives up the expectation (IFWXFirewallAction::Cancel). It has no effect once the
// connection has arrived.
func (x *Expected) Cancel() {
	if x.close() {
		x.parent.listener.uncount(x.parent.worker)
	}
}

// close stops waiting. It returns false if that has been done already. Otherwise the place
// reserved for the connection belongs to the caller.
func (x *Expected) close() bool {
	if x.socket.Closed() {
		return false
	}
	_ = x.socket.Close() // it is open
	x.retry.Stop()
	x.limit.Stop()
	c := x.parent
	c.pending = slices.DeleteFunc(c.pending, func(other *Expected) bool { return other == x })
	return true
}

// accept waits for the next peer to connect.
func (x *Expected) accept() {
	if err := x.socket.Accept(x.overlapped); err != nil {
		x.later(err)
	}
}

// later tries again after an error.
func (x *Expected) later(err error) {
	x.warn(fmt.Errorf("accept: %w", err))
	x.retry.Reset(retryAccept)
}

// CompleteAsyncIO admits a peer that was expected.
func (x *Expected) CompleteAsyncIO(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
	a, _ := o.TakeValue().(completion.Accepted)
	switch {
	case x.socket.Closed():
		if err == nil {
			a.Discard()
		}
	case err == nil && x.expects(a.Remote):
		x.close()
		x.parent.listener.admit(&Connection{worker: x.parent.worker, origin: x}, a)
	case err == nil:
		x.warn(fmt.Errorf("no connection is expected from %s", a.Remote))
		a.Discard()
		x.accept()
	case errors.Is(err, completion.ErrOperationAborted): // the port ends
		x.Cancel()
	case isTransient(err):
		x.accept()
	default:
		x.later(err)
	}
}

// expects reports whether a peer may connect.
func (x *Expected) expects(peer completion.Address) bool {
	return slices.ContainsFunc(x.from, func(p netip.Prefix) bool { return p.Contains(address(peer.AddrPort)) })
}

// warn logs why the connection has not arrived, once.
func (x *Expected) warn(err error) {
	if x.warned {
		return
	}
	x.warned = true
	x.parent.fw.logger.Warn("a connection is still expected", "connection", x.parent.id, "listener", x.parent.Listener(), "error", err)
}
