//go:build !race

package framework

// chunkChecksum detects whether a filter has changed the chunk that it was given. That means
// reading every byte, so only programs built with the race detector do it.
type chunkChecksum struct{}

func checksumOf([]byte) chunkChecksum { return chunkChecksum{} }

func (chunkChecksum) changed([]byte) bool { return false }
