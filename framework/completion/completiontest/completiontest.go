// Package completiontest is the conformance suite of the completion port: what
// every backend has to do, one subtest a row. Rows I1 to I8 are the invariants
// of the port, rows C1 to C20 the documented behaviour of the filter SDK's
// overlapped operations, tasks and blocking, and the others what both mean for sockets,
// streams, files, timers and the end of a port.
//
// The suite uses real sockets, pipes, FIFOs and files. A row waits for a
// condition, never for a time.
package completiontest

import (
	"testing"

	"fwx/framework/completion"
)

// Open makes a port on the backend that is to be tested. The suite shuts it down.
type Open func(testing.TB, completion.Options) *completion.Port

// row is one row of the suite.
type row struct {
	name string
	test func(*rig)
	// options are those of the port; one worker unless it says otherwise.
	options completion.Options
}

// Run runs the suite against the ports that open makes.
func Run(t *testing.T, open func(testing.TB, completion.Options) *completion.Port) {
	t.Helper()
	for _, rows := range [][]row{invariants, overlappedRows, fileRows, streamRows, socketRows, spliceRows, bufferRows, taskRows, heavyRows, windowRows, fileOpRows, packetRows, shutdownRows} {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) { row.test(newRig(t, open, row.options)) })
		}
	}
}
