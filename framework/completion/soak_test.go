package completion_test

import (
	"testing"

	"fwx/framework/completion"
	"fwx/framework/completion/completiontest"
)

// TestSoak starts a million operations on each backend, with faults injected; a
// tenth of that with -short or under the race detector.
func TestSoak(t *testing.T) {
	operations := 1_000_000
	if testing.Short() || raceEnabled {
		operations /= 10
	}
	for _, backend := range append(completion.Backends(), completiontest.FakeBackend) {
		setup := completiontest.Setup{Backend: backend, Faults: true}
		t.Run(setup.String(), func(t *testing.T) {
			if backend == completiontest.FakeBackend {
				setup.Soak(t, operations/10)
				return
			}
			setup.Soak(t, operations)
		})
	}
}
