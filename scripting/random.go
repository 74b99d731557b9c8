package scripting

import (
	"crypto/rand"
	"encoding/binary"
	"io"
	"math/bits"
	insecure "math/rand/v2"

	lua "github.com/yuin/gopher-lua"
)

var randomFunctions = []binding{
	{"bytes", randomBytes, "(n: integer) -> string", "Up to 1 MiB that nobody can guess: for keys and names."},
	{
		"integer", randomInteger, "(low: integer, high: integer) -> integer",
		"From `low` to `high`, both included, each as likely; nobody can guess it.",
	},
	{"number", randomNumber, "() -> number", "From 0 up to but not 1, fast: for sampling. Not for secrets."},
}

const maxRandom = 1 << 20

func randomBytes(s *state, L *lua.LState) int {
	data := make([]byte, argInteger(L, 1, 0, maxRandom))
	s.meter.charge(len(data) / processedPerInstruction)
	s.random(data)
	return s.giveBytes(L, data)
}

func randomInteger(s *state, L *lua.LState) int {
	low := argInteger(L, 1, -maxExact, maxExact)
	high := argInteger(L, 2, low, maxExact)
	span := uint64(high - low)
	mask := uint64(1)<<bits.Len64(span) - 1
	for {
		var b [8]byte
		s.random(b[:])
		if v := binary.NativeEndian.Uint64(b[:]) & mask; v <= span {
			return give(L, lua.LNumber(low+int64(v)))
		}
	}
}

func randomNumber(s *state, L *lua.LState) int {
	if s.filter.settings.System.Random == nil {
		return give(L, lua.LNumber(insecure.Float64())) //nolint:gosec // The description says what it is for.
	}
	var b [8]byte
	s.random(b[:])
	return give(L, lua.LNumber(float64(binary.NativeEndian.Uint64(b[:])>>11)/(1<<53)))
}

// random fills a buffer with what nobody can guess, unless a test has said what.
func (s *state) random(data []byte) {
	if r := s.filter.settings.System.Random; r != nil {
		_, _ = io.ReadFull(r, data) // what is missing stays zero
		return
	}
	_, _ = rand.Read(data) // it never fails
}
