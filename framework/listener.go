package framework

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"fwx/framework/completion"
)

// listener accepts clients on one address. It lives on one worker and hands
// each connection to the worker that has the fewest.
type listener struct {
	fw       *Firewall
	config   ListenerConfig
	upstream *upstream
	filters  []*filter

	worker  *completion.Worker
	socket  *completion.Listener
	address atomic.Pointer[completion.Address] // of socket, for everyone
	accept  *completion.Overlapped
	retry   *completion.Timer
	full    bool // the limit of connections was reached; said once
	failing bool // accepting fails; said once
}

// retryAccept is how long a listener waits when the system has run out of
// something that an accepted connection needs.
const retryAccept = 100 * time.Millisecond

// open binds the address, so that a taken one is known before anything else starts.
func (l *listener) open(w *completion.Worker) error {
	address, err := completion.ParseAddress(l.config.Listen)
	if err != nil {
		return fmt.Errorf("listener %q: %w", l.config.Name, err)
	}
	address = l.fw.config.locate(address)
	if err2 := w.Call(func() { err = l.listen(w, address) }); err2 != nil {
		return err2
	}
	if err != nil {
		return fmt.Errorf("listener %q: %w", l.config.Name, err)
	}
	return nil
}

func (l *listener) listen(w *completion.Worker, address completion.Address) (err error) {
	l.worker = w
	l.socket, err = w.Listen(address)
	if err != nil {
		return err
	}
	address = l.socket.Address()
	l.address.Store(&address)
	l.retry = w.NewTimer(l.next)
	l.accept = w.CreateOverlapped()
	return l.accept.SetNotificationInterface(l, nil)
}

// start accepts the first connection.
func (l *listener) start() error {
	l.fw.logger.Info("listening", "listener", l.config.Name, "address", l.socket.Address().String(),
		"protocol", protocolTCP, "upstream", l.config.Upstream, "filters", l.config.Filters)
	return l.worker.Post(l.next)
}

// next accepts the next connection, unless there are too many.
func (l *listener) next() {
	if l.socket.Closed() || l.accept.InFlight() || l.retry.Armed() {
		return
	}
	open, limit := l.fw.open.Load(), l.fw.limit
	if open < limit-limit/10 { // lest a service at its limit says so for each connection
		l.full = false
	}
	if open >= limit {
		if !l.full {
			l.full = true
			l.fw.logger.Warn("limit of connections reached; further ones wait", "listener", l.config.Name, "max_connections", limit)
		}
		return // uncount resumes
	}
	if err := l.socket.Accept(l.accept); err != nil {
		l.later(err)
	}
}

// later tries again after an error.
func (l *listener) later(err error) {
	if !l.failing {
		l.failing = true
		l.fw.logger.Warn("accept", "listener", l.config.Name, "error", err, "retry", retryAccept.String())
	}
	l.retry.Reset(retryAccept)
}

// resume goes on accepting after the limit was reached.
func (l *listener) resume() { _ = l.worker.Post(l.next) } // an error means that the service ends

// CompleteAsyncIO takes an accepted connection to its worker.
func (l *listener) CompleteAsyncIO(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
	switch {
	case l.socket.Closed(): // nobody counts on this connection any more
		if a, ok := o.TakeValue().(completion.Accepted); ok {
			a.Discard()
		}
		return
	case err == nil:
		a, _ := o.TakeValue().(completion.Accepted)
		l.failing = false
		l.hand(a)
	case errors.Is(err, completion.ErrOperationAborted):
		return
	case !isTransient(err):
		l.later(err)
		return
	}
	l.next()
}

func (l *listener) hand(a completion.Accepted) {
	w := l.fw.leastLoaded(l.worker)
	l.fw.count(w)
	if w == l.worker {
		l.fw.admit(l, w, a)
		return
	}
	if err := w.Post(func() { l.fw.admit(l, w, a) }); err != nil {
		a.Discard()
		l.fw.uncount(w)
	}
}

// isTransient reports whether an error of accept is about one connection,
// which went away while it waited, and not about the listener.
func isTransient(err error) bool {
	return errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, syscall.EPROTO) || errors.Is(err, syscall.EPERM)
}

// close ends the listener; it waits until the worker has done so.
func (l *listener) close() {
	if l.worker == nil || l.socket == nil {
		return
	}
	_ = l.worker.Call(func() { // an error means that the port is closed already
		l.retry.Stop()
		if !l.socket.Closed() {
			_ = l.socket.Close() // it is open
		}
	})
}
