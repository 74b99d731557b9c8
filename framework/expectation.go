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

// Expectation is a secondary connection that a filter has read of in the data of
// another one: the data connection of FTP, the media of a call.
type Expectation struct {
	// Direction says who connects: Upstream the client, as in passive FTP,
	// Downstream the server, as in active FTP.
	Direction Direction
	// To is the address on the other side that the gateway then connects to. It is
	// for the filter to judge it: a peer may announce any address there is.
	To netip.AddrPort
	// From is who may connect. Without any it is the address of the peer that this
	// connection has on that side; everyone has to be said: 0.0.0.0/0, ::/0.
	From []netip.Prefix
	// Local is where to listen. Without an IP address it is the one that this
	// connection has on that side; port 0 takes a free one.
	Local netip.AddrPort
	// Timeout is how long to wait; 0 means 1 minute, and 10 minutes is the most.
	Timeout time.Duration
	// Filter is the session filter that is told EstablishedConnection, the caller's
	// own; nil: none.
	Filter SessionFilter
}

const (
	// maxExpected bounds what one connection may expect at a time.
	maxExpected = 16

	defaultExpectation = time.Minute
	maxExpectation     = 10 * time.Minute
)

// Expected is a secondary connection that is waited for (IFWXFirewallAction). It
// is over when the connection has come, when its time is up, when the connection
// that expects it ends, and by Cancel. It is used on that connection's worker only.
type Expected struct {
	parent     *Connection
	dir        Direction
	to         completion.Address
	from       []netip.Prefix
	requester  *filter // is told; nil: none
	socket     *completion.Listener
	overlapped *completion.Overlapped
	retry      *completion.Timer
	limit      *completion.Timer
	warned     bool // of what went wrong meanwhile
}

// Expect listens for one secondary connection and lets it go on to where it is
// meant to go, through the filters of the listener (AllowFutureConnect,
// BindForClient, RedirectConnections). Expected.Address is what the side that is
// to connect has to be told. Who expects several connections calls it several times.
//
// It is ErrTerminating on a connection that has ended, ErrBadContext if there is
// no socket on that side (yet, or because it is emulated), ErrTooManyConnections
// if 16 are expected already or the service has no place for one more, and the
// system's error if it cannot listen.
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

// complete checks the expectation and fills in what is left out.
func (e *Expectation) complete(side stream) error {
	peer, local := address(side.RemoteAddress().AddrPort), side.LocalAddrPort().Addr().Unmap()
	e.From = slices.Clone(e.From)
	if len(e.From) == 0 {
		if !peer.IsValid() {
			return errors.New("who may connect has to be said: the peer has no IP address")
		}
		e.From = []netip.Prefix{netip.PrefixFrom(peer, peer.BitLen())}
	}
	if !e.Local.Addr().IsValid() {
		if !local.IsValid() {
			return errors.New("where to listen has to be said: this side has no IP address")
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

// address returns an IP address as prefixes have them.
func address(a netip.AddrPort) netip.Addr { return a.Addr().Unmap().WithZone("") }

// filterOf returns the filter that a session filter belongs to; nil: it is not
// one of the connection's session.
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

// Address returns the address on which the connection is waited for.
func (x *Expected) Address() netip.AddrPort { return x.socket.Address().AddrPort }

// Cancel gives the expectation up (IFWXFirewallAction::Cancel). On a connection
// that has come it has no effect.
func (x *Expected) Cancel() {
	if x.close() {
		x.parent.listener.uncount(x.parent.worker)
	}
}

// close ends the waiting; false if it has ended already. The place that is kept
// for the connection is the caller's then.
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

// accept waits for the next that connects.
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

// CompleteAsyncIO admits who was expected.
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
		x.warn(fmt.Errorf("nobody is expected from %s", a.Remote))
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

// warn logs why the connection has not come, the first time.
func (x *Expected) warn(err error) {
	if x.warned {
		return
	}
	x.warned = true
	x.parent.fw.logger.Warn("a connection is still expected", "connection", x.parent.id, "listener", x.parent.Listener(), "error", err)
}
