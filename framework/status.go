package framework

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// ServiceState is what a service is doing, as a supervisor sees it.
type ServiceState uint8

// The states.
const (
	StateRunning  ServiceState = iota // connections are accepted
	StateStopping                     // connections are let finish, then the filters end
)

// ServiceStatus is what a supervisor (systemd, the service manager of Windows) is to
// be told.
type ServiceStatus struct {
	State ServiceState
	// Wait is how long the state may last until the next status: a supervisor should
	// not end the program before that. 0 means that nobody knows.
	Wait time.Duration
}

// String describes the status for logs.
func (s ServiceStatus) String() string {
	if s.State == StateRunning {
		return "running"
	}
	return fmt.Sprintf("stopping, for up to %v", s.Wait)
}

// tell tells the host program the status, for its supervisor. It is called in the turn.
func (fw *Firewall) tell(s ServiceStatus) {
	err := fw.turn.call(func() error {
		fw.report(s)
		return nil
	})
	if err != nil {
		fw.logger.Error("OnStatus has failed", "error", err)
	}
}

// report calls OnStatus. That filters end which a Reload has replaced concerns nobody.
func (fw *Firewall) report(s ServiceStatus) {
	if fw.onStatus != nil && (s.State == StateRunning || fw.closing.Load()) {
		fw.onStatus(s)
	}
}

// timeLeft returns how long ctx and what comes behind it may take; 0: for ever.
func timeLeft(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return max(time.Until(deadline), 0) + stopLimit
}

// step is a step of the end of the service that filters may prolong.
type step struct {
	mu     sync.Mutex
	timer  *time.Timer // ends the step; nil: there is none
	end    time.Time
	latest time.Time // up to which it may be prolonged
}

// maxStop is the most to which filters may prolong FilterShutdown.
const maxStop = 10 * time.Minute

// begin returns a context for a step that ends after a time, or later if filters ask
// for it.
func (s *step) begin(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.end, s.latest = now.Add(limit), now.Add(maxStop)
	s.timer = time.AfterFunc(limit, func() { cancel(context.DeadlineExceeded) })
	return ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.timer.Stop()
		s.timer = nil
		cancel(nil)
	}
}

// prolong has the step last for at least d from now on; false if there is none, or
// if it has lasted too long already.
func (s *step) prolong(d time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	end := now.Add(d)
	if s.timer == nil || end.After(s.latest) {
		return false
	}
	if !end.After(s.end) {
		return true
	}
	if !s.timer.Stop() {
		return false
	}
	s.end = end
	s.timer.Reset(d)
	return true
}

// UpdateServiceStatus says that the FilterShutdown of a filter takes up to wait from
// now on (IFWXFirewall2::UpdateServiceStatus). Its context lasts for that long, and
// the supervisor is told. It may be called again, and from any goroutine. It is
// ErrBadContext if no FilterShutdown runs, or if it would last for more than
// 10 minutes in all.
func (fw *Firewall) UpdateServiceStatus(wait time.Duration) error {
	if wait <= 0 || !fw.stopping.prolong(wait) {
		return ErrBadContext
	}
	fw.report(ServiceStatus{StateStopping, wait})
	return nil
}
