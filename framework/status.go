package framework

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// ServiceState is the state of the service for a supervisor.
type ServiceState uint8

// The states.
const (
	StateRunning  ServiceState = iota // connections are accepted
	StateStopping                     // connections may finish, then the filters end
)

// ServiceStatus is what a supervisor (systemd, the service manager of Windows) is told.
type ServiceStatus struct {
	State ServiceState
	// Wait is how long the state may last until the next status: a supervisor should not end
	// the program before. 0 means unknown.
	Wait time.Duration
}

// String describes the status for logs.
func (s ServiceStatus) String() string {
	if s.State == StateRunning {
		return "running"
	}
	return fmt.Sprintf("stopping, for up to %v", s.Wait)
}

// tell reports the status to the host program, for its supervisor. It is called in the turn.
func (fw *Firewall) tell(s ServiceStatus) {
	err := fw.turn.call(func() error {
		fw.report(s)
		return nil
	})
	if err != nil {
		fw.logger.Error("OnStatus has failed", "error", err)
	}
}

// report calls OnStatus, except for the end of filters that a Reload has replaced.
func (fw *Firewall) report(s ServiceStatus) {
	if fw.onStatus != nil && (s.State == StateRunning || fw.closing.Load()) {
		fw.onStatus(s)
	}
}

// timeLeft returns how long ctx, and the steps after it, may take; 0: indefinitely.
func timeLeft(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return max(time.Until(deadline), 0) + stopLimit
}

// step is a step of stopping the service that filters may prolong.
type step struct {
	mu     sync.Mutex
	timer  *time.Timer // ends the step; nil: no step is in progress
	end    time.Time
	latest time.Time // the latest end to which the step may be prolonged
}

// maxStop is the longest time to which filters may prolong FilterShutdown.
const maxStop = 10 * time.Minute

// begin returns a context for a step that ends after limit, or later if filters ask for more
// time.
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

// prolong makes the step last at least d from now on. It returns false if no step is in
// progress or it has lasted too long already.
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

// UpdateServiceStatus says that the FilterShutdown of a filter takes up to wait from now on
// (IFWXFirewall2::UpdateServiceStatus). Its context lasts that long, and the supervisor is
// told. It may be called repeatedly and on any goroutine. It returns ErrBadContext if no
// FilterShutdown is in progress, or if it would last more than 10 minutes in all.
func (fw *Firewall) UpdateServiceStatus(wait time.Duration) error {
	if wait <= 0 || !fw.stopping.prolong(wait) {
		return ErrBadContext
	}
	fw.report(ServiceStatus{StateStopping, wait})
	return nil
}
