package balance

import (
	"encoding/binary"
	"math"
	"net/netip"
)

// Key makes a key for Upstream.Choose of a text. It is the same on every gateway.
func Key[T string | []byte](text T) uint64 {
	h := uint64(14695981039346656037) // FNV-1a
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	return mix(h)
}

// AddressKey makes a key of an address.
func AddressKey(a netip.Addr) uint64 {
	b := a.As16()
	return mix(mix(binary.BigEndian.Uint64(b[:8])) ^ binary.BigEndian.Uint64(b[8:]))
}

// mix spreads a number over all 64 bits.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// score tells how much a key wants a server: it goes to the one with the highest score.
// The scores of a server do not depend on the others, so when one goes only its own keys
// move.
func (s *Server) score(key uint64) uint64 { return mix(key ^ s.seed) }

// weigh makes the score of a server one that respects its weight: of all keys it is the
// highest for a share that is the server's share of the weights.
func weigh(score uint64, weight uint32) float64 {
	u := (float64(score>>11) + 0.5) / (1 << 53)
	return -float64(weight) / math.Log(u)
}
