package scripting

import (
	"errors"
	"fmt"
	"time"

	"fwx/scripting/internal/interp"
)

// errBudget ends a handler that does not let others run.
var errBudget = errors.New("the instruction budget is spent")

// eventError ends a handler of a connection that lets others run, but does not end.
type eventError struct{ budget int64 }

func (e *eventError) Error() string {
	return fmt.Sprintf("the instruction budget of the event is spent (event_budget = %d)", e.budget)
}

// timeError ends a handler whose few instructions take for ever.
type timeError struct{ limit time.Duration }

func (e *timeError) Error() string {
	return "the handler has held its worker for " + e.limit.String()
}

const (
	// stallLimit is how long a handler may hold its worker before the log tells.
	stallLimit = 100 * time.Millisecond
	// timeLimit is how long it may do so at all. It is there for what the count of
	// instructions does not see: with gopher-lua's loop a comparison of huge strings, a table of holes.
	timeLimit = 5 * time.Second
	// clockInterval is how many instructions lie between two looks at the clock.
	clockInterval = 64
	// slowInterval is how long they take if some of them are of the kind that the count
	// does not see. Then the clock is looked at after each instruction.
	slowInterval = 5 * time.Millisecond
)

// meter counts the instructions of a handler: an exact and repeatable measure, and cheaper than a clock.
// The interpreter's loop of our own counts by itself, and calls tick when something is due. That of gopher-lua asks
// a context before each instruction whether it is done, so there the meter is a context that counts how often
// it is asked.
//
// All threads of a state share its meter; entering a fiber sets it to what that
// fiber has left. Once spent it stays so until then: an error that the script
// catches comes again with the next instruction.
type meter struct {
	interp.Count // what is left, and when the next look at the clock is due

	err   error                    // why it is spent, if not for the instructions
	since time.Time                // of the handler's turn; zero: it has just begun
	held  time.Duration            // at the last look
	told  bool                     // that it takes long
	stall func(held time.Duration) // tells it
	limit time.Duration            // on how long it may do so
	empty func() error             // says why, if it is for the instructions
	ease  func()                   // does what need not be done with each instruction

	collections int64        // of the collector, when the memory was last looked at
	weigh       func() error // looks at it
}

// spent is a channel that is always ready.
var spent = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Done counts one instruction.
func (m *meter) Done() <-chan struct{} {
	m.Left--
	if m.tick() == nil {
		return nil
	}
	return spent
}

// tick does what is due, and returns why the handler must end, if it must.
func (m *meter) tick() error {
	if m.Left <= m.Due {
		m.look()
	}
	m.weighIfDue()
	if m.Left >= 0 {
		return nil
	}
	return m.Err()
}

// weighIfDue looks at the memory if the collector has run.
func (m *meter) weighIfDue() {
	if n := collections.count.Load(); n != m.collections {
		m.collections = n
		if err := m.weigh(); err != nil {
			m.stop(err)
		}
	}
}

// stop ends the turn, for a reason other than the instructions. The first counts.
func (m *meter) stop(err error) {
	if m.Left >= 0 {
		m.Left, m.err = -1, err
	}
}

// set begins or continues a turn with so many instructions left.
func (m *meter) set(left int64) {
	m.Left, m.err, m.since, m.held, m.told = left, nil, time.Time{}, 0, false
	m.dueIn(clockInterval)
}

// dueIn has the next look at the clock come after so many instructions, or when they are spent.
func (m *meter) dueIn(instructions int64) { m.Due = max(m.Left-instructions, -1) }

// look looks at the clock. The first look of a turn, which most never reach,
// starts it.
func (m *meter) look() {
	m.dueIn(clockInterval)
	m.ease()
	if m.since.IsZero() {
		m.since = time.Now()
		return
	}
	held := time.Since(m.since)
	if held-m.held > slowInterval {
		m.dueIn(1)
	}
	m.held = held
	if held > stallLimit && !m.told {
		m.told = true
		m.stall(held)
	}
	if held > m.limit {
		m.stop(&timeError{m.limit})
	}
}

// charge counts work that a function of the host does for the script, which the
// interpreter does not see. Much of it at once brings the next look at the clock and the
// memory, as the instructions would that it counts as.
func (m *meter) charge(instructions int) {
	m.Left -= int64(instructions)
	if m.Left <= m.Due {
		m.look()
		m.weighIfDue()
	}
}

// pay is charge for a function of the host that is in the midst of work of any length. It
// returns why that has to end, if it has to.
func (m *meter) pay(instructions int) error {
	m.charge(instructions)
	if m.Left < 0 {
		return m.Err()
	}
	return nil
}

// chargeBytes counts the copying of so many bytes.
func (m *meter) chargeBytes(n int) { m.charge(n / bytesPerInstruction) }

// Err says why the meter is spent.
func (m *meter) Err() error {
	if m.err != nil {
		return m.err
	}
	return m.empty()
}

// Deadline says that there is none: time does not matter, instructions do.
func (m *meter) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// Value has nothing.
func (m *meter) Value(any) any { return nil }
