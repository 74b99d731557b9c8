package scripting

import (
	"math/bits"

	lua "github.com/yuin/gopher-lua"
)

var bitFunctions = []binding{
	{"band", bitwise(func(a, b uint32) uint32 { return a & b }), bitSignature, "The bits that all numbers have."},
	{"bor", bitwise(func(a, b uint32) uint32 { return a | b }), bitSignature, "The bits that any number has."},
	{"bxor", bitwise(func(a, b uint32) uint32 { return a ^ b }), bitSignature, "The bits that an odd number of them have."},
	{"bnot", bitNot, "(n: integer) -> integer", "The bits that a number does not have."},
	{
		"lshift", bitShift(func(n uint32, by int) uint32 { return n << by }), "(n: integer, by: integer) -> integer",
		"Shifts to the left. `by` is from 0 to 63.",
	},
	{
		"rshift", bitShift(func(n uint32, by int) uint32 { return n >> by }), "(n: integer, by: integer) -> integer",
		"Shifts to the right, with zeroes coming in.",
	},
	{
		"rol", bitShift(bits.RotateLeft32), "(n: integer, by: integer) -> integer",
		"Rotates to the left.",
	},
}

const (
	bitSignature = "(n: integer, ...: integer) -> integer"
	maxShift     = 63
)

// argBits returns the lowest 32 bits of a whole number.
func argBits(L *lua.LState, n int) uint32 { return uint32(argInteger(L, n, -maxExact, maxExact)) }

func bitwise(combine func(a, b uint32) uint32) func(*state, *lua.LState) int {
	return func(_ *state, L *lua.LState) int {
		result := argBits(L, 1)
		for n := 2; n <= L.GetTop(); n++ {
			result = combine(result, argBits(L, n))
		}
		return give(L, lua.LNumber(result))
	}
}

func bitNot(_ *state, L *lua.LState) int { return give(L, lua.LNumber(^argBits(L, 1))) }

func bitShift(shift func(n uint32, by int) uint32) func(*state, *lua.LState) int {
	return func(_ *state, L *lua.LState) int {
		return give(L, lua.LNumber(shift(argBits(L, 1), int(argInteger(L, 2, 0, maxShift)))))
	}
}
