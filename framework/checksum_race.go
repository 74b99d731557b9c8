//go:build race

package framework

import "hash/crc32"

// seal tells whether a filter has changed the chunk that it was given.
type seal uint32

func sealOf(chunk []byte) seal { return seal(crc32.ChecksumIEEE(chunk)) }

func (s seal) broken(chunk []byte) bool { return s != sealOf(chunk) }
