package balance

import (
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"fwx/framework/completion"
)

// Server is one server, at one address.
type Server struct {
	address completion.Address
	home    *completion.Worker
	seed    uint64 // of its scores

	active   atomic.Int64  // places that are taken
	state    atomic.Uint32 // why it cannot be taken; 0: it can. Only the home worker changes it
	failures atomic.Uint32 // in a row
	patience atomic.Uint32 // that are too many; 0: none are
	tally    tally
	reason   atomic.Pointer[string] // of the last check that has failed
	target   atomic.Pointer[Target] // that it is at an address of, in the latest configuration

	// Of the home worker:

	upstream *Upstream // the latest one that has it
	check    *check    // nil: it is not checked
	health   health
	ejection ejection
	warming  time.Duration // since when its share grows, on the clock of the worker; 0: it does not
}

// tally is what is counted of a server.
type tally struct {
	chosen, failed, checks, failedChecks, ejections atomic.Uint64
}

// The states of a server.
const (
	stateDown    = 1 << iota // its checks fail
	stateEjected             // its connections have failed
	stateDrained             // the operator has drained it
	stateGone                // its name has another address now, or the configuration another server

	// stateOut is those in which nobody can take it. Who has an earlier configuration,
	// which has the server, can take one that is gone.
	stateOut = stateDown | stateEjected | stateDrained
)

// stateNames are what operators call them, the weightiest first.
var stateNames = []struct {
	state uint32
	name  string
}{{stateGone, "gone"}, {stateDrained, "drained"}, {stateDown, "down"}, {stateEjected, "ejected"}}

func newServer(u *Upstream, a completion.Address) *Server {
	return &Server{address: a, home: u.home, seed: Key(a.String())}
}

// Address returns where the server is.
func (s *Server) Address() completion.Address { return s.address }

// Target returns what the latest configuration has about the server.
func (s *Server) Target() Target { return *s.target.Load() }

// Release gives back the place that Upstream.Choose has taken.
func (s *Server) Release() { s.active.Add(-1) }

// Report tells what became of what the server was chosen for: nil if it answered, or how
// it has failed. An error of this machine is no failure of the server.
func (s *Server) Report(err error) {
	switch {
	case err == nil:
		if s.failures.Load() != 0 {
			s.failures.Store(0)
		}
		return
	case isLocal(err):
		return
	}
	s.tally.failed.Add(1)
	patience := s.patience.Load()
	if n := s.failures.Add(1); patience > 0 && n%patience == 0 {
		_ = s.home.Post(s.suspect) // an error means that the service ends
	}
}

// isLocal reports whether an error is about this machine, which has run out of something.
func isLocal(err error) bool {
	return slices.ContainsFunc(localErrors, func(local error) bool { return errors.Is(err, local) })
}

// free reports whether a place at the server can be taken, if n are.
func (s *Server) free(n, limit int64) bool {
	return !s.is(stateOut) && (limit == 0 || n < limit)
}

// take takes a place if just n are taken; otherwise somebody else was faster.
func (s *Server) take(n int64) bool {
	if !s.active.CompareAndSwap(n, n+1) {
		return false
	}
	s.tally.chosen.Add(1)
	return true
}

// is reports whether the server is in a state.
func (s *Server) is(state uint32) bool { return s.state.Load()&state != 0 }

// put puts the server into a state, or out of it; it reports whether that is a change.
func (s *Server) put(state uint32, in bool) bool {
	before := s.state.Load()
	after := before &^ state
	if in {
		after = before | state
	}
	s.state.Store(after)
	return after != before
}

// Info is a server as it was at one moment.
type Info struct {
	Address      string `json:"address"`
	Name         string `json:"name"`  // what the configuration calls it
	State        string `json:"state"` // "up", "down", "ejected", "drained" or "gone"
	Weight       int    `json:"weight"`
	Backup       bool   `json:"backup"`
	Connections  int64  `json:"connections"` // there are
	Chosen       uint64 `json:"chosen"`      // times that it was taken
	Failed       uint64 `json:"failed"`      // times that it could not be reached
	Checks       uint64 `json:"checks"`
	FailedChecks uint64 `json:"failed_checks"`
	Ejections    uint64 `json:"ejections"`
	Reason       string `json:"reason,omitempty"` // of the last check that has failed, if it is down
}

// stateName names the state of a server.
func (s *Server) stateName() string {
	for _, n := range stateNames {
		if s.is(n.state) {
			return n.name
		}
	}
	return "up"
}

// info describes the server.
func (s *Server) info() Info {
	t := s.Target()
	i := Info{
		Address: s.address.String(), Name: t.Text, State: s.stateName(), Weight: t.Weight, Backup: t.Backup,
		Connections: s.active.Load(), Chosen: s.tally.chosen.Load(), Failed: s.tally.failed.Load(),
		Checks: s.tally.checks.Load(), FailedChecks: s.tally.failedChecks.Load(), Ejections: s.tally.ejections.Load(),
	}
	if reason := s.reason.Load(); reason != nil && s.is(stateDown) {
		i.Reason = *reason
	}
	return i
}
