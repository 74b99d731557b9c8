//go:build !race

package framework

// seal tells whether a filter has changed the chunk that it was given. That costs a
// look at every byte, so only a program built with the race detector has one.
type seal struct{}

func sealOf([]byte) seal { return seal{} }

func (seal) broken([]byte) bool { return false }
