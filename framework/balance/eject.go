package balance

import (
	"log/slog"
	"time"

	"fwx/framework/completion"
)

// ejection is what a server has been through of ejections.
type ejection struct {
	timer *completion.Timer // ends it
	times int               // in a row
	last  time.Duration     // how long the last one has lasted
	ended time.Duration     // when, on the clock of the worker
}

func (e *ejection) stop() {
	if e.timer != nil {
		e.timer.Stop()
	}
}

// suspect ejects a server whose connections have failed too often in a row, unless too
// many servers are out already. It runs on the home worker.
func (s *Server) suspect() {
	u := s.upstream
	config := u.config.Eject
	failures := s.failures.Load()
	if config == nil || u.retired || failures < uint32(config.Failures) || s.state.Load() != 0 || !u.mayEject() {
		return
	}
	e := &s.ejection
	if e.times > 0 && u.home.Now()-e.ended >= e.last { // it was well for as long as it had been out
		e.times = 0
	}
	e.last = min(config.Time<<min(e.times, maxGrowth), config.MaxTime)
	e.times++
	if e.timer == nil {
		e.timer = u.home.NewTimer(s.takeBack)
	}
	e.timer.Reset(e.last)
	s.put(stateEjected, true)
	s.tally.ejections.Add(1)
	u.changed(s, slog.LevelWarn, "server ejected", "failures", failures, "time", e.last.String())
}

// maxGrowth bounds how often the time of an ejection doubles.
const maxGrowth = 20

// mayEject reports whether one more server may be ejected: no more than the share that
// the configuration allows, but always one, and never the last one that can be taken.
func (u *Upstream) mayEject() bool {
	all, free, ejected := 0, 0, 0
	for _, s := range *u.servers.Load() {
		switch state := s.state.Load(); {
		case state == 0:
			all, free = all+1, free+1
		case state&stateGone != 0:
		case state&stateEjected != 0:
			all, ejected = all+1, ejected+1
		default:
			all++
		}
	}
	return free > 1 && (ejected == 0 || (ejected+1)*100 <= all*u.config.Eject.MaxShare)
}

// takeBack ends the ejection of a server.
func (s *Server) takeBack() {
	u := s.upstream
	if s.readmit() {
		s.warmUp(u)
		u.changed(s, slog.LevelInfo, "server no longer ejected")
	}
}

// readmit is takeBack without consequences; it reports whether the server was ejected.
func (s *Server) readmit() bool {
	s.ejection.stop()
	s.ejection.ended = s.home.Now()
	s.failures.Store(0)
	return s.put(stateEjected, false)
}

// pardon ends all ejections, for there is no other server left: they were guesses, and a
// server that may answer is better than none. It reports whether there were any.
func (u *Upstream) pardon() (some bool) {
	for _, s := range *u.servers.Load() {
		if s.state.Load() == stateEjected && s.readmit() {
			some = true
			u.logger.Warn("server no longer ejected: no other is up", "upstream", u.config.Name, "server", s.address.String())
		}
	}
	return some
}
