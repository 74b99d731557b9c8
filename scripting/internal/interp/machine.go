package interp

import (
	"sync/atomic"

	lua "github.com/yuin/gopher-lua"
)

// Count is the instructions that the script may run.
type Count struct {
	Left int64 // instructions that are left; below zero the script must end
	Due  int64 // tick is called when Left has come down to this; never less than -1
}

// Machine runs the threads of one Lua state.
type Machine struct {
	count       *Count
	tick        func() error  // looks at the clock and the memory, and says why the script must end
	collections *atomic.Int64 // number of garbage collections
	seen        int64         // number of collections when one last made tick due
	loop        func(*lua.LState, *frame)
}

// New returns a machine. It calls tick when count.Due is reached, and with the next instruction
// after a run of the collector if a function has been entered since, or one of the host has returned.
func New(count *Count, tick func() error, collections *atomic.Int64) *Machine {
	m := &Machine{count: count, tick: tick, collections: collections}
	m.loop = m.run
	if layout.differs == "" {
		makeSmall()
	}
	return m
}

// Install has a thread run by the machine, and reports whether that is possible: it is not if this program's
// gopher-lua is not the one that the loop is written for. The thread must have been given its context.
func (m *Machine) Install(L *lua.LState) bool {
	if layout.differs != "" {
		return false
	}
	t := threadOf(L)
	if t.stack.table != layout.stack {
		return false
	}
	t.mainLoop = m.loop
	return true
}

// LoopName is what the stack of a goroutine calls the function that is on it once for each loop that runs.
const LoopName = "interp.(*Machine).run"

// run is gopher-lua's mainLoopWithContext: it runs the innermost call of a thread until base has returned.
func (m *Machine) run(L *lua.LState, base *frame) {
	t := threadOf(L)
	calls := t.calls()
	if calls.empty() {
		return
	}
	t.currentFrame = calls.last()
	if t.currentFrame.Fn.IsG {
		m.callHost(L, t, false)
		return
	}
	m.notice()
	m.execute(L, t, base)
}

// notice has tick called with the next instruction if the collector has run.
func (m *Machine) notice() {
	if n := m.collections.Load(); n != m.seen {
		m.seen = n
		m.count.Due = max(m.count.Left, -1)
	}
}

// charge counts work that an instruction does beyond what one takes.
func (m *Machine) charge(n int) { m.count.Left -= int64(n) }
