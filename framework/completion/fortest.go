package completion

import (
	"os"

	"fwx/framework/completion/internal/memory"
	"fwx/framework/completion/internal/seam"
)

// NewForTest is New with the hooks of package completiontest, which is the only
// one that can name them.
func NewForTest(options Options, hooks seam.Hooks) (*Port, error) {
	options = options.withDefaults()
	choice := backendChoice{name: "fake", reason: "chosen by a test", open: openFake}
	if hooks.Memory == nil {
		var err error
		if choice, err = choose(options.Backend); err != nil {
			return nil, err
		}
	}
	inner := choice.open
	choice.open = func(w *Worker) (backend, error) {
		w.test.memory, w.test.ringEntries = hooks.Memory, hooks.RingEntries
		b, err := inner(w)
		if err != nil || hooks.Faults == nil {
			return b, err
		}
		w.test.faults = &faulty{backend: b, worker: w, plan: hooks.Faults(w.index)}
		return w.test.faults, nil
	}
	if hooks.Memory != nil {
		choice.memory, choice.clock = hooks.Memory, hooks.Memory.Clock
	}
	return newPort(options, choice)
}

// testHooks is what a worker has for tests; in a program it is empty.
type testHooks struct {
	memory      *memory.System
	faults      *faulty
	ringEntries uint32
}

// The functions below ask the operating system of the worker, which is the
// memory of a test or the real one.

func (w *Worker) listen(address Address) (int, Address, error) {
	if w.test.memory != nil {
		return listenInMemory(w.test.memory, address)
	}
	return listen(address)
}

func (w *Worker) connectSocket(address Address) (int, error) {
	if w.test.memory != nil {
		return connectInMemory(w.test.memory, address)
	}
	return connectSocket(address)
}

func (w *Worker) describe(d *descriptor, fd int) error {
	if w.test.memory != nil {
		return describeInMemory(d, fd)
	}
	return describe(d, fd)
}

func (w *Worker) openFile(d *descriptor, root *Root, name string, flag int, perm os.FileMode) error {
	if w.test.memory != nil {
		return openInMemory(w.test.memory, d, root, name, flag)
	}
	return openFile(d, root, name, flag, perm)
}
