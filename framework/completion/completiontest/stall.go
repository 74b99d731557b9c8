package completiontest

import (
	"time"

	"fwx/framework/completion"
	"fwx/framework/completion/internal/seam"
)

// StallingFiles returns what opens ports with a slow disk: now and then, after so many
// reads and writes of files, one of them takes a while longer. stalled is told of it on the
// worker; nil: nobody is.
func StallingFiles(after int, delay time.Duration, stalled func()) func(completion.Options) (*completion.Port, error) {
	return func(options completion.Options) (*completion.Port, error) {
		return completion.NewForTest(options, seam.Hooks{Faults: func(int) seam.Faults {
			return &stalling{after: after, delay: delay, stalled: stalled}
		}})
	}
}

// stalling is the faults of a worker whose files stall.
type stalling struct {
	after, begun int
	delay        time.Duration
	stalled      func()
}

// Start delays one operation on a file of so many.
func (s *stalling) Start(op seam.Op) seam.Fate {
	if op.Kind != seam.Read && op.Kind != seam.Write {
		return seam.Fate{}
	}
	if s.begun++; s.begun%s.after != 0 {
		return seam.Fate{}
	}
	if s.stalled != nil {
		s.stalled()
	}
	return seam.Fate{Delay: s.delay}
}

func (*stalling) Refuse() bool          { return false }
func (*stalling) Finish() time.Duration { return 0 }
func (*stalling) Cancel() time.Duration { return 0 }
func (*stalling) Starve() time.Duration { return 0 }
