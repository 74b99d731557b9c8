package completion_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"fwx/framework/completion"
)

// TestScheduling looks at the threads of workers: they are scheduled in batches, and whoever
// waits for them is not.
func TestScheduling(t *testing.T) {
	port, err := completion.New(completion.Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := port.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	policy := func() uint32 {
		attr, err := unix.SchedGetAttr(0, 0)
		if err != nil {
			t.Error(err)
			return 0
		}
		return attr.Policy
	}
	if policy() != unix.SCHED_NORMAL {
		t.Skip("the tests run with a policy of their own")
	}
	for _, w := range port.Workers() {
		if err := w.Call(func() {
			if got := policy(); got != unix.SCHED_BATCH {
				t.Errorf("worker %d has the policy %d, want %d", w.Index(), got, unix.SCHED_BATCH)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
}
