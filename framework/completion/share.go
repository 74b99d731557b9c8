package completion

import "time"

// turnShare is how long a turn goes on with one queue when others may have work too: with
// timers, tasks, notifications that are due, and what the system has completed.
const turnShare = 5 * time.Millisecond

// unlooked is after how many handlers at the most the clock is looked at again.
const unlooked = 4

// share is the part of a turn that one queue has. The zero value has not begun.
type share struct {
	end       int64 // on the worker's clock
	ran, look int   // how many handlers have run, and after how many the clock is looked at
}

// over is asked before each handler and reports whether it has to wait for the next turn.
// The first one always runs. Where handlers are quick, most calls do not look at the clock.
func (s *share) over(w *Worker) bool {
	s.ran++
	switch {
	case s.ran == 1:
		s.end, s.look = int64(w.port.Uptime()+turnShare), 1
		return false
	case s.ran <= s.look:
		return false
	}
	s.look = s.ran + min(s.ran, unlooked) - 1
	return int64(w.port.Uptime()) >= s.end
}
