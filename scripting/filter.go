package scripting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"fwx/framework"
	"fwx/framework/completion"
	"fwx/framework/metrics"
	"fwx/framework/store"
)

// filter is a script as a filter of the service. It is its own object for every
// session too: what a script keeps of a session is in the session.
type filter struct {
	settings Settings
	program  *program
	access   *access
	reach    *reach
	logger   *slog.Logger
	store    store.Store
	metrics  *metrics.Registry
	alert    func(filter string, worker int, text string)
	failures failures
	states   []*state // by worker
	trial    bool     // it is only found out whether it would start

	metricsFull sync.Once // tells that there are too many

	timeLimit  time.Duration // of a turn
	closeLimit time.Duration // of an on_close
	killLimit  time.Duration // of the end
}

// FilterInit runs the script and its on_init on every worker.
func (f *filter) FilterInit(fw *framework.Firewall) (framework.EventMask, error) {
	f.logger = fw.Logger().With("filter", f.settings.Name, "script", f.program.path)
	f.store, f.metrics, f.alert = fw.Store(), fw.Metrics(), fw.RaiseAlert
	if err := f.access.open(fw.Port()); err != nil {
		return 0, err
	}
	workers := fw.Port().Workers()
	results := make(chan error, len(workers))
	f.states = make([]*state, len(workers))
	for i, w := range workers {
		if err := w.Call(func() { f.states[i] = newState(f, w); f.states[i].load(func(err error) { results <- err }) }); err != nil {
			results <- err
		}
	}
	if err := collect(results, len(workers)); err != nil {
		return 0, err
	}
	var mask framework.EventMask
	for _, s := range f.states {
		mask |= s.handlers.events()
	}
	return mask, nil
}

// collect waits for so many results and returns the first error: that of the
// same script on the other workers says the same.
func collect(results <-chan error, n int) (first error) {
	limit := time.After(initLimit)
	for range n {
		select {
		case err := <-results:
			if first == nil {
				first = err
			}
		case <-limit:
			return errors.Join(first, fmt.Errorf("on_init has not returned after %v", initLimit))
		}
	}
	return first
}

// AttachToSession returns the filter.
func (f *filter) AttachToSession(*framework.Session, *framework.EventMask) (framework.SessionFilter, error) {
	return f, nil
}

// FirewallEventHandler calls on_client_hello, on_connect and on_close.
func (f *filter) FirewallEventHandler(ev *framework.Event) framework.Verdict {
	s := f.states[ev.Connection.Worker().Index()]
	switch ev.Type {
	case framework.ClientHello:
		return s.greeting(ev)
	case framework.ConnectTCP, framework.EstablishedConnection: // the latter of one that the script watches
		return s.connecting(ev)
	case framework.ConnectionTerminating:
		return s.terminating(ev)
	default: // AcceptedConnection is there to be attached to the session
		return framework.Pass
	}
}

// Interrupt ends an on_connect that waits: its connection is gone.
func (f *filter) Interrupt(c *framework.Connection) {
	s := f.states[c.Worker().Index()]
	s.connOf(c).detach()
}

// Files returns the script and the modules that it has required.
func (f *filter) Files() []framework.File { return f.program.read() }

// Reopen has every state look at the files that it appends to.
func (f *filter) Reopen() {
	for _, s := range f.states {
		if s != nil {
			_ = s.worker.Post(s.reopen) // closed: nothing is appended any more
		}
	}
}

// FilterShutdown runs on_shutdown on every worker and ends the states.
func (f *filter) FilterShutdown(ctx context.Context) error {
	var errs []error
	for _, s := range f.states {
		if s != nil {
			errs = append(errs, s.worker.Post(s.shutdown))
		}
	}
	for _, s := range f.states {
		if s != nil {
			errs = append(errs, s.wait(ctx))
		}
	}
	if f.logger != nil {
		f.failures.flush(f.logger)
	}
	return errors.Join(append(errs, f.access.close()...)...)
}

// wait waits for the end of a state, and ends it by force when it takes too long.
func (s *state) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownLimit+s.filter.killLimit)
	defer cancel()
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
	}
	var left int
	if err := s.worker.Call(func() { left = s.kill() }); err != nil && !errors.Is(err, completion.ErrPortClosed) {
		return err
	}
	if left > 0 {
		return fmt.Errorf("worker %d: %d handlers or files did not end by themselves", s.worker.Index(), left)
	}
	return nil
}
