package completion

import "golang.org/x/sys/unix"

// scheduleInBatches tells the system that this thread wants its work in batches: when
// something has completed it is made ready to run, but does not push aside the thread that
// runs just then, which is often the peer that is about to cause the next completions. On an
// idle processor it runs at once all the same. The function that it returns undoes it.
//
// A policy that the program was started with, by chrt(1) for one, is left as it is.
func scheduleInBatches() (undo func()) {
	const thisThread = 0
	before, err := unix.SchedGetAttr(thisThread, 0)
	if err != nil || before.Policy != unix.SCHED_NORMAL {
		return func() {}
	}
	batch := *before
	batch.Policy = unix.SCHED_BATCH
	if unix.SchedSetAttr(thisThread, &batch, 0) != nil { // a sandbox refuses it: it is only a matter of speed
		return func() {}
	}
	return func() { _ = unix.SchedSetAttr(thisThread, before, 0) } // what it was before is allowed
}
