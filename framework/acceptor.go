package framework

import (
	"context"
	"errors"
	"syscall"
	"time"

	"fwx/framework/completion"
	"fwx/framework/internal/rebind"
)

// acceptor accepts clients on one address, for the listener that the current generation has
// there. It lives on one worker and hands each connection to the worker with the fewest.
type acceptor struct {
	fw       *Firewall
	address  completion.Address // as configured
	worker   *completion.Worker
	socket   *completion.Listener
	listener *listener // nil: nothing is accepted yet
	accept   *completion.Overlapped
	retry    *completion.Timer
	waiting  *completion.Accepted // accepted while the limit of connections was reached; has no place yet
	full     bool                 // the limit of connections is reached, and has been logged
	failing  bool                 // accepting fails, and that has been logged
}

// retryAccept is how long a listener pauses if the system lacks a resource for another
// connection.
const retryAccept = 100 * time.Millisecond

// openAcceptor binds an address before anything else is started, so that an address in use is
// noticed.
func openAcceptor(ctx context.Context, fw *Firewall, w *completion.Worker, address completion.Address) (*acceptor, error) {
	a := &acceptor{fw: fw, address: address, worker: w}
	err := rebind.Try(ctx, fw.logger, address.String(), func() (err error) {
		if closed := w.Call(func() { err = a.open() }); closed != nil {
			return closed
		}
		return err
	})
	return a, err
}

func (a *acceptor) open() (err error) {
	a.socket, err = a.worker.Listen(a.address)
	if err != nil {
		return err
	}
	a.retry = a.worker.NewTimer(a.next)
	a.accept = a.worker.CreateOverlapped()
	return a.accept.SetNotificationInterface(a, nil)
}

// serve starts to accept for a listener.
func (a *acceptor) serve(l *listener) {
	_ = a.worker.Call(func() { // an error means that the service ends
		a.listener = l
		a.next()
	})
}

// next accepts the next connection, unless the limit is reached.
func (a *acceptor) next() {
	if a.listener == nil || a.socket.Closed() || a.accept.InFlight() || a.retry.Armed() {
		return
	}
	if waiting := a.waiting; waiting != nil {
		a.waiting = nil
		a.hand(*waiting)
	}
	if a.isFull() {
		return // uncount resumes
	}
	if err := a.socket.Accept(a.accept); err != nil {
		a.later(err)
	}
}

// isFull reports whether the limit of connections is reached.
func (a *acceptor) isFull() bool {
	open, limit := a.fw.open.Load(), a.fw.limit.Load()
	if open < limit-limit/10 { // otherwise a service at its limit would log each connection
		a.full = false
	}
	if open < limit && a.waiting == nil {
		return false
	}
	if !a.full {
		a.full = true
		a.fw.logger.Warn("limit of connections reached; new ones wait", "listener", a.listener.config.Name, "max_connections", limit)
	}
	return true
}

// later tries again after an error.
func (a *acceptor) later(err error) {
	if !a.failing {
		a.failing = true
		a.fw.logger.Warn("accept", "listener", a.listener.config.Name, "error", err, "retry", retryAccept.String())
	}
	a.retry.Reset(retryAccept)
}

// resume accepts again after the limit was reached.
func (a *acceptor) resume() { _ = a.worker.Post(a.next) } // an error means that the service ends

// CompleteAsyncIO hands an accepted connection to its worker.
func (a *acceptor) CompleteAsyncIO(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
	switch {
	case a.socket.Closed(): // the listener is closed
		if accepted, ok := o.TakeValue().(completion.Accepted); ok {
			accepted.Discard()
		}
		return
	case err == nil:
		accepted, _ := o.TakeValue().(completion.Accepted)
		a.failing = false
		a.hand(accepted)
	case errors.Is(err, completion.ErrOperationAborted):
		return
	case !isTransient(err):
		a.later(err)
		return
	}
	a.next()
}

// hand hands an accepted connection to the worker with the fewest. If other listeners have
// occupied the last place meanwhile, it waits.
func (a *acceptor) hand(accepted completion.Accepted) {
	l, w := a.listener, a.fw.leastLoaded(a.worker)
	if !l.count(w) {
		a.waiting = &accepted
		return
	}
	c := &Connection{worker: w}
	if w == a.worker {
		l.admit(c, accepted)
		return
	}
	if err := w.Post(func() { l.admit(c, accepted) }); err != nil {
		accepted.Discard()
		l.uncount(w)
	}
}

// isTransient reports whether an error of accept concerns one connection, which was closed
// before it was accepted, and not the listener.
func isTransient(err error) bool {
	return errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, syscall.EPROTO) || errors.Is(err, syscall.EPERM)
}

// close stops accepting. It returns when the worker has done so.
func (a *acceptor) close() {
	_ = a.worker.Call(func() { // an error means that the port is closed already
		a.retry.Stop()
		if !a.socket.Closed() {
			_ = a.socket.Close() // it is open
		}
		if a.waiting != nil {
			a.waiting.Discard()
			a.waiting = nil
		}
	})
}
