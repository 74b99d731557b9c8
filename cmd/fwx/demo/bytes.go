package demo

import (
	"encoding/binary"
	"io"
)

// Bytes returns a reader of the stream that /bytes/N answers with the first N bytes of.
// It never ends and never fails, and every call starts at the first byte.
//
// The stream is the output of the generator SplitMix64 seeded with 0, each number as 8
// bytes with the least significant first. With all arithmetic modulo 2^64, number i,
// counted from 0, is
//
//	z = (i + 1) * 0x9e3779b97f4a7c15
//	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
//	z = (z ^ z>>27) * 0x94d049bb133111eb
//	z = z ^ z>>31
//
// No number comes twice within 2^64, so a block that is lost, repeated or out of place
// changes the hash of what was received.
func Bytes() io.Reader { return new(stream) }

// stream is the reader that Bytes returns.
type stream struct {
	next uint64  // the index of the number that follows word
	word [8]byte // the number that is partly read
	left int     // how many bytes at the end of word are still to be read
}

// Read fills p.
func (s *stream) Read(p []byte) (int, error) {
	n := len(p)
	taken := copy(p, s.word[8-s.left:])
	s.left -= taken
	p = p[taken:]
	for ; len(p) >= 8; p = p[8:] {
		binary.LittleEndian.PutUint64(p, number(s.next))
		s.next++
	}
	if len(p) > 0 {
		binary.LittleEndian.PutUint64(s.word[:], number(s.next))
		s.next++
		s.left = 8 - copy(p, s.word[:])
	}
	return n, nil
}

// number returns number i of the stream.
func number(i uint64) uint64 {
	z := (i + 1) * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
