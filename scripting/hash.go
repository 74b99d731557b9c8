package scripting

import (
	"crypto/hmac"
	"crypto/md5"  //nolint:gosec // For scripts that compare with what others have made.
	"crypto/sha1" //nolint:gosec // Likewise.
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"hash"
	"hash/crc32"

	lua "github.com/yuin/gopher-lua"
)

// digests are the hash functions.
var digests = []struct {
	name string
	make func() hash.Hash
}{{"md5", md5.New}, {"sha1", sha1.New}, {"sha256", sha256.New}, {"sha512", sha512.New}}

var (
	hashFunctions = append(
		digestBindings(false), binding{"crc32", hashCRC32, "(data: bytes) -> integer", "The checksum of zip and Ethernet."},
	)
	hmacFunctions = append(digestBindings(true), binding{
		"equal", hmacEqual, "(a: bytes, b: bytes) -> boolean",
		"Compares in a time that does not depend on what is in them: for secrets and signatures.",
	})
)

func digestBindings(keyed bool) (all []binding) {
	for _, d := range digests {
		b := binding{d.name, hashOf(d.make), "(data: bytes) -> string", "In hexadecimal."}
		if keyed {
			b.call, b.sig = hmacOf(d.make), "(key: bytes, data: bytes) -> string"
		}
		all = append(all, b)
	}
	return all
}

func (s *state) argHashed(L *lua.LState, n int) []byte {
	data := argBytes(L, n)
	s.meter.charge(hashCost + len(data)/processedPerInstruction)
	return data
}

func hashOf(newHash func() hash.Hash) func(*state, *lua.LState) int {
	return func(s *state, L *lua.LState) int { return giveSum(L, newHash(), s.argHashed(L, 1)) }
}

func hmacOf(newHash func() hash.Hash) func(*state, *lua.LState) int {
	return func(s *state, L *lua.LState) int {
		return giveSum(L, hmac.New(newHash, s.argHashed(L, 1)), s.argHashed(L, 2))
	}
}

func giveSum(L *lua.LState, h hash.Hash, data []byte) int {
	h.Write(data)
	return give(L, lua.LString(hex.EncodeToString(h.Sum(nil))))
}

func hashCRC32(s *state, L *lua.LState) int {
	return give(L, lua.LNumber(crc32.ChecksumIEEE(s.argHashed(L, 1))))
}

func hmacEqual(s *state, L *lua.LState) int {
	a, b := s.argHashed(L, 1), s.argHashed(L, 2)
	return give(L, lua.LBool(subtle.ConstantTimeCompare(a, b) == 1))
}
