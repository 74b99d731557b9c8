//go:build !linux

package completiontest

// withSignals runs f; no signals are sent to a single thread here.
func (r *rig) withSignals(f func()) { f() }
