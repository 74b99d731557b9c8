//go:build !linux

package completion

// scheduleInBatches does nothing here.
func scheduleInBatches() (undo func()) { return func() {} }
