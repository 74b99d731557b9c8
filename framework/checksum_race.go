//go:build race

package framework

import "hash/crc32"

// chunkChecksum detects whether a filter has changed the chunk that it was given.
type chunkChecksum uint32

func checksumOf(chunk []byte) chunkChecksum { return chunkChecksum(crc32.ChecksumIEEE(chunk)) }

func (s chunkChecksum) changed(chunk []byte) bool { return s != checksumOf(chunk) }
