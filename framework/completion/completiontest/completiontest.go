// Package completiontest is the conformance suite of the completion port: what
// every backend has to do, one subtest a row. Rows I1 to I8 are the invariants
// of the port, rows C1 to C20 the documented behaviour of the filter SDK's
// overlapped operations, tasks and blocking, and the others what both mean for sockets,
// streams, files, timers and the end of a port.
//
// The suite uses real sockets, pipes, FIFOs and files, and on the fake backend
// those in memory; there, rows about what only a system has are skipped. A row
// waits for a condition, never for a time.
//
// A [Setup] is a backend with or without injected faults. Under faults a start
// may be late or refused, completions overtake each other, cancels come too
// late, buffers run out, transfers go through in pieces, and reads and writes of
// files are short or fail with EIO or ENOSPC. The suite accepts such an outcome
// where it stands, checks that it is one that the contract allows, and starts
// the operation again. All of it is drawn from a [Seed], which a failure tells.
//
//	go test ./framework/completion -run TestConformance -v
//
// ends with a table of how many rows passed on each. [Setup.Soak] is the same
// with a million operations of all kinds at once. For the tests of other packages
// there are package fake and, inside testing/synctest, [NewFake].
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
	// firm rows look at each start closely, so none is refused for the sake of it.
	firm bool
	// options are those of the port; one worker unless it says otherwise.
	options completion.Options
}

// Run runs the suite against the ports that open makes.
func Run(t *testing.T, open func(testing.TB, completion.Options) *completion.Port) {
	t.Helper()
	for _, row := range allRows() {
		t.Run(row.name, func(t *testing.T) { row.test(newRig(t, open, row.options)) })
	}
}

func allRows() (all []row) {
	for _, rows := range [][]row{
		invariants, overlappedRows, fileRows, streamRows, socketRows, spliceRows, bufferRows, taskRows,
		heavyRows, windowRows, fileOpRows, packetRows, layerRows, shutdownRows, misuseRows, faultRows,
	} {
		all = append(all, rows...)
	}
	return all
}
