package scripting

import (
	"fmt"
	"log/slog"
	"time"
)

// The defaults of the breaker.
const (
	DefaultBreaker      = 20
	DefaultBreakerPause = 10 * time.Second
)

// breaker leaves a script out that keeps failing: after so many failures of on_connect
// and on_data in a row no handler but on_close is called for a while, and connections
// fare as on_error says. Then one call is let through; if it succeeds the script is
// back. Each worker has its own, as it has its own copy of the script.
type breaker struct {
	failures int           // in a row
	until    time.Duration // on the worker's clock; 0: the script is in
	pause    time.Duration // at the last time
	trying   bool          // the one call is under way
}

// admits reports whether a handler may be called now.
func (b *breaker) admits(now time.Duration) bool {
	if b.until == 0 {
		return true
	}
	if now < b.until || b.trying {
		return false
	}
	b.trying = true
	return true
}

// reason is what connections are told whose handler is not called.
func (b *breaker) reason() string {
	return fmt.Sprintf("the script is left out for %v after %d failures in a row", b.pause, b.failures)
}

// succeeded notes that a handler has.
func (s *state) succeeded() {
	b := &s.breaker
	b.failures = 0
	if b.until != 0 && b.trying {
		*b = breaker{}
		s.logger.Info("the script is back", "worker", s.worker.Index())
		s.alert("the script is back")
	}
}

// alert tells the operator.
func (s *state) alert(text string) { s.filter.alert(s.filter.settings.Name, s.worker.Index(), text) }

// stumbled notes that a handler has failed.
func (s *state) stumbled() {
	b, limit := &s.breaker, s.filter.settings.Breaker
	b.failures++
	if limit < 0 || !b.trying && (b.until != 0 || b.failures < limit) {
		return
	}
	b.pause, b.trying = s.filter.settings.BreakerPause, false
	b.until = s.worker.Now() + b.pause
	s.logger.Error("the script keeps failing and is left out for a while",
		slog.Int("worker", s.worker.Index()), slog.Int("failures", b.failures), slog.Duration("for", b.pause), slog.String("on_error", s.filter.settings.OnError))
	s.alert(b.reason())
}
