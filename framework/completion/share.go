package completion

import "time"

// turnShare is how long a turn goes on with one queue when others may have work too: with
// timers, tasks, notifications that are due, and what the system has completed.
const turnShare = 5 * time.Millisecond

// unlooked is after how many handlers at the most the clock is looked at again.
const unlooked = 4

// share is the part of a turn that one queue has. The zero value begins with its first
// handler, at the cost of a look at the clock.
type share struct {
	end       int64 // on the worker's clock; 0 before it has begun
	ran, look int   // how many handlers have run, and after how many the clock is looked at
}

// shareFromTick returns a share that has begun when the worker last looked at the clock.
func (w *Worker) shareFromTick() share { return share{end: w.now + int64(turnShare)} }

// over is asked before each handler and reports whether it has to wait for the next turn.
// The first one always runs. Where handlers are quick, most calls do not look at the clock.
func (s *share) over(w *Worker) bool {
	s.ran++
	switch {
	case s.ran == 1:
		if s.look = 1; s.end == 0 {
			s.end = int64(w.port.Uptime() + turnShare)
		}
		return false
	case s.ran <= s.look:
		return false
	}
	s.look = s.ran + min(s.ran, unlooked) - 1
	return int64(w.port.Uptime()) >= s.end
}
