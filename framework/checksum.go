//go:build !race

package framework

// chunkChecksum tells whether a filter has changed the chunk that it was given. That costs a
// look at every byte, so only a program built with the race detector has one.
type chunkChecksum struct{}

func checksumOf([]byte) chunkChecksum { return chunkChecksum{} }

func (chunkChecksum) changed([]byte) bool { return false }
