//go:build unix && !linux

package completion

// boundUnsent does nothing: the system bounds what it keeps for a connection itself.
func boundUnsent(int) {}
