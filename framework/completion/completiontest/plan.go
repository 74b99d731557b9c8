package completiontest

import (
	"math/rand/v2"
	"syscall"
	"time"

	"fwx/framework/completion/internal/seam"
)

// chances is how often what goes wrong, in a thousand.
type chances struct {
	delay, piece, refuse, finish, cancel, starve int
	short                                        int // reads
	disk                                         int // ENOSPC and EIO
	reset                                        int // ECONNRESET
	whole                                        int // a shorter message of a stream goes through in one piece
	longest                                      time.Duration
}

// suiteChances are those of the suite. A reset would end every row; the soak
// has those. Rows expect to receive a short message at once.
var suiteChances = chances{delay: 150, piece: 250, refuse: 30, finish: 200, cancel: 500, starve: 20, short: 80, disk: 60, whole: 256, longest: 300 * time.Microsecond}

// plan draws the faults of a worker.
type plan struct {
	chances
	random *rand.Rand
	given  map[any]fate // what operations on files have been given, by user context
	spare  bool         // give nothing that would change an outcome

	refusing, refused bool
	count             map[string]int // how often what
	anyUser           bool           // faults that change the outcome are for all, not only for the suite's operations
}

// fate is what an operation on a file was given.
type fate struct {
	seam.Fate
	size int
}

func newPlan(seed uint64, worker int, c chances) *plan {
	return &plan{
		chances: c,
		random:  rand.New(rand.NewPCG(seed, uint64(worker))), //nolint:gosec // so that it can be had again
		given:   make(map[any]fate),
		count:   make(map[string]int),
	}
}

func (p *plan) chance(n int, what string) bool {
	if n == 0 || p.random.IntN(1000) >= n {
		return false
	}
	p.count[what]++
	return true
}

func (p *plan) while() time.Duration { return time.Duration(p.random.Int64N(int64(p.longest))) + 1 }

// Start decides the fate of an operation.
func (p *plan) Start(op seam.Op) (f seam.Fate) {
	if p.chance(p.delay, "late start") {
		f.Delay = p.while()
	}
	inPieces := op.Kind == seam.Write || (op.Kind == seam.Send || op.Kind == seam.Stream) && op.Size >= p.whole
	if inPieces && op.Size > 1 && p.chance(p.piece, "in pieces") {
		// Not so many pieces that the test takes its time.
		f.Piece = max(1+p.random.IntN(op.Size), op.Size/64)
	}
	if _, own := op.User.(*int); p.spare || !own && !p.anyUser {
		return f
	}
	switch op.Kind {
	case seam.Read:
		if op.Size > 1 && p.chance(p.short, "short read") {
			f.Limit = 1 + p.random.IntN(op.Size-1)
		} else if p.chance(p.disk, "EIO") {
			f.Err = syscall.EIO
		}
	case seam.Write:
		if p.chance(p.disk, "ENOSPC") {
			f.Limit, f.Err = p.random.IntN(op.Size), syscall.ENOSPC
		}
	case seam.Sync:
		if p.chance(p.disk, "EIO") {
			f.Err = syscall.EIO
		}
	case seam.Send:
		if p.chance(p.reset, "ECONNRESET") {
			f.Limit, f.Err = p.random.IntN(op.Size), syscall.ECONNRESET
		}
	default:
	}
	if (f.Err != nil || f.Limit > 0) && !p.anyUser {
		p.given[op.User] = fate{f, op.Size}
	}
	return f
}

// Refuse tells whether a start finds too many operations in flight.
func (p *plan) Refuse() bool {
	if !p.refusing || !p.chance(p.refuse, "refused start") {
		return false
	}
	p.refused = true
	return true
}

// Finish is how long a notification is held back.
func (p *plan) Finish() time.Duration {
	if p.chance(p.finish, "late completion") {
		return p.while()
	}
	return 0
}

// Cancel is how long a cancel is under way.
func (p *plan) Cancel() time.Duration {
	if p.chance(p.cancel, "late cancel") {
		return p.while()
	}
	return 0
}

// Starve tells for how long the free receive buffers are taken away.
func (p *plan) Starve() time.Duration {
	if p.chance(p.starve, "no buffers") {
		return p.while()
	}
	return 0
}
