package scripting

import (
	"errors"
	"strings"
)

// errReplaced is raised by a sleep of what the script does at intervals, when
// another filter has taken its place.
var errReplaced = errors.New("the filter has been replaced")

// Retire ends what the script does at intervals, on every worker: the filter that
// takes its place does so from now on. What belongs to connections, and watches of
// files, go on until the last connection has ended.
func (f *filter) Retire() {
	for _, s := range f.states {
		_ = s.worker.Post(s.retire) // an error means that the service ends
	}
}

func (s *state) retire() {
	s.retired = true
	for t := range s.timers {
		if t.scheduled {
			t.stop()
		}
	}
	for f := range s.active {
		if f.sleep != nil && f.sleep.Armed() {
			s.expire(f)
		}
	}
}

// expire ends a fiber that would sleep until it does again what another filter
// does now.
func (s *state) expire(f *fiber) {
	if s.retired && f.task.scheduled {
		f.abort(errReplaced)
	}
}

// isReplaced reports whether a function has ended because of that.
func isReplaced(err error) bool { return strings.HasSuffix(messageOf(err), errReplaced.Error()) }
