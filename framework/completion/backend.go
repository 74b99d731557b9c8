package completion

import (
	"fmt"
	"strings"
	"time"

	"fwx/framework/completion/internal/memory"
)

// backend is what an operating system's way of doing I/O has to offer one
// worker. All but wake is called on the worker.
type backend interface {
	// hook makes a descriptor known before its first operation.
	hook(d *descriptor) error
	// forget is called before the descriptor is closed. False means that the
	// backend has something of its own in flight on it; it calls closeWhenIdle
	// when that has ended.
	forget(d *descriptor) bool
	// start begins an operation that the worker has accepted. It must not call
	// the notification; what ends at once is queued by Worker.end.
	start(o *Overlapped)
	// cancel asks for the end of an operation that was started.
	cancel(o *Overlapped)
	// wait submits what was started and waits at most for the given time (-1:
	// for ever) for something to end.
	wait(patience time.Duration)
	// reap completes what has ended. It may be called again by a stand-in while
	// a handler that it has called blocks, and completes the rest then.
	reap()
	// wake ends a wait from any goroutine.
	wake()
	// released is called when a buffer has come back to the pool.
	released()
	// shutdown stops what the backend itself has in flight.
	shutdown()
	// idle reports whether nothing of the backend's own is in flight.
	idle() bool
	close()
}

type backendOpener func(*Worker) (backend, error)

// backendChoice is a backend and why it was chosen.
type backendChoice struct {
	name   string
	reason string
	open   backendOpener
	memory *memory.System // of a test
	clock  *memory.Clock  // of a test
}

// choose finds the backend for a name. For "auto" the candidates are tried in
// order, each by a self-test, and the first that passes is taken.
func choose(name string) (backendChoice, error) {
	if name != "" && name != "auto" {
		for _, c := range candidates() {
			if c.name == name {
				c.reason = "chosen by configuration"
				return c, selfTest(c)
			}
		}
		return backendChoice{}, fmt.Errorf("unknown backend %q: this system has %s", name, candidateNames())
	}
	refused := ""
	for _, c := range candidates() {
		err := selfTest(c)
		if err == nil {
			c.reason = "passed its self-test" + refused
			return c, nil
		}
		refused += fmt.Sprintf("; %s was refused: %v", c.name, err)
	}
	return backendChoice{}, fmt.Errorf("no backend works here%s", refused)
}

func candidateNames() string {
	return strings.Join(append([]string{"auto"}, Backends()...), ", ")
}

// Probe runs the self-test of every backend that this system could have and
// tells how each did, the one that "auto" takes first.
func Probe() []ProbeResult {
	all := candidates()
	results := make([]ProbeResult, 0, len(all))
	for _, c := range all {
		results = append(results, ProbeResult{Backend: c.name, Err: selfTest(c)})
	}
	return results
}

// ProbeResult is how the self-test of a backend ended.
type ProbeResult struct {
	Backend string
	Err     error // nil: it works here
}
