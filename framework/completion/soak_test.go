package completion_test

import (
	"testing"

	"fwx/framework/completion"
	"fwx/framework/completion/completiontest"
	"fwx/framework/fwxtest"
)

// TestSoak starts a million operations on each backend, with faults injected, if long tests
// are asked for, and a tenth of that otherwise.
func TestSoak(t *testing.T) {
	t.Parallel()
	operations := 100_000
	if fwxtest.Long() {
		operations = 1_000_000
	}
	for _, backend := range append(completion.Backends(), completiontest.FakeBackend) {
		setup := completiontest.Setup{Backend: backend, Faults: true}
		t.Run(setup.String(), func(t *testing.T) {
			t.Parallel()
			if backend == completiontest.FakeBackend {
				setup.Soak(t, operations/10)
				return
			}
			setup.Soak(t, operations)
		})
	}
}
