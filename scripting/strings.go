package scripting

import (
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"fwx/scripting/internal/number"
)

// stringFunctions replace those of the string library whose result can be of any
// size or pins a string of any size, or whose letters are not those of ASCII only.
var stringFunctions = []binding{
	{"byte", stringByte, "", ""},
	{"char", stringChar, "", ""},
	{"len", stringLen, "", ""},
	{"sub", stringSub, "", ""},
	{"rep", stringRep, "", ""},
	{"format", stringFormat, "", ""},
	{"upper", stringUpper, "", ""},
	{"lower", stringLower, "", ""},
	{"reverse", stringReverse, "", ""},
}

// tableFunctions replace those of the table library that take longer than one
// instruction.
var tableFunctions = []binding{
	{"concat", tableConcat, "", ""},
	{"insert", tableInsert, "", ""},
	{"remove", tableRemove, "", ""},
	{"maxn", tableMaxN, "", ""},
}

func stringRep(s *state, L *lua.LState) int {
	text, n := checkText(L, 1), checkNumber(L, 2)
	if n < 1 || text == "" {
		return give(L, lua.LString(""))
	}
	if n*float64(len(text)) > maxStringSize {
		L.RaiseError("string.rep: a string of more than %d MiB", maxStringSize>>20)
	}
	s.meter.chargeBytes(int(n) * len(text))
	return give(L, lua.LString(strings.Repeat(text, int(n))))
}

func stringLen(_ *state, L *lua.LState) int { return give(L, wholeNumber(len(checkText(L, 1)))) }

func stringSub(s *state, L *lua.LState) int {
	text := checkText(L, 1)
	from, to := span(len(text), int64(checkInt(L, 2)), int64(optInt(L, 3, -1)))
	part := partOf(text, from, to)
	if pins(to-from, len(text)) { // it was copied
		s.meter.chargeBytes(to - from)
	}
	return give(L, textValue(part))
}

func stringChar(s *state, L *lua.LState) int {
	out := make([]byte, L.GetTop())
	for i := range out {
		n := checkInt(L, i+1)
		if n < 0 || n > math.MaxUint8 {
			L.ArgError(i+1, "invalid value")
		}
		out[i] = byte(n)
	}
	s.meter.chargeBytes(len(out))
	return give(L, textValue(textOf(out)))
}

func stringUpper(s *state, L *lua.LState) int { return s.mapBytes(L, 'a', 'z', 'A'-'a') }

func stringLower(s *state, L *lua.LState) int { return s.mapBytes(L, 'A', 'Z', 'a'-'A') }

// mapBytes moves the bytes of a range by a distance.
func (s *state) mapBytes(L *lua.LState, from, to byte, by int) int {
	in := checkText(L, 1)
	first := 0
	for first < len(in) && (in[first] < from || to < in[first]) {
		first++
	}
	s.meter.charge(len(in) / mappedPerInstruction)
	s.meter.chargeBytes(len(in))
	if first == len(in) { // there are none
		return give(L, firstText(L))
	}
	out := []byte(in)
	for i, c := range out[first:] {
		if from <= c && c <= to {
			out[first+i] = byte(int(c) + by)
		}
	}
	return give(L, textOf(out))
}

func stringReverse(s *state, L *lua.LState) int {
	in := checkText(L, 1)
	out := make([]byte, len(in))
	for i := range len(in) {
		out[len(in)-1-i] = in[i]
	}
	return s.giveBytes(L, out)
}

func tableConcat(s *state, L *lua.LState) int {
	t := L.CheckTable(1)
	separator := optText(L, 2, "")
	first, last := optInt(L, 3, 1), optInt(L, 4, t.Len())
	out := s.borrowText()
	for i := first; i <= last; i++ {
		before := len(out)
		switch v := t.RawGetInt(i).(type) {
		case lua.LString:
			out = append(out, v...)
		case lua.LNumber:
			out = number.Append(out, float64(v))
		default:
			L.RaiseError("invalid value (%s) at index %d in table for concat", v.Type().String(), i)
		}
		if i < last {
			out = append(out, separator...)
		}
		s.pay(L, 1+(len(out)-before)/bytesPerInstruction)
		if len(out) > maxStringSize {
			L.RaiseError("table.concat: a string of more than %d MiB", maxStringSize>>20)
		}
	}
	return s.giveBorrowed(L, out)
}

func tableInsert(s *state, L *lua.LState) int {
	t := L.CheckTable(1)
	s.refuseSealed(L, t, lua.LNumber(t.Len()+1))
	switch L.GetTop() {
	case 2:
		t.Append(L.Get(2))
	case 3:
		at := checkInt(L, 2)
		s.meter.charge(max(t.Len()-at, 0) / shiftsPerInstruction)
		t.Insert(at, L.CheckAny(3))
	default:
		L.RaiseError("wrong number of arguments to insert")
	}
	return 0
}

func tableRemove(s *state, L *lua.LState) int {
	t := L.CheckTable(1)
	n := t.Len()
	if n == 0 {
		return 0
	}
	at := optInt(L, 2, n)
	s.meter.charge(max(n-at, 0) / shiftsPerInstruction)
	return give(L, t.Remove(at))
}

// guardSort returns the sort of the library, paid for in advance: comparisons without a
// function of the script are no instructions.
func guardSort(sort lua.LGFunction) binding {
	return binding{name: "sort", call: func(s *state, L *lua.LState) int {
		s.pay(L, sortCost(L.CheckTable(1).Len()))
		return sort(L)
	}}
}

// sortCost is the instructions that it counts to sort so many elements.
func sortCost(n int) int { return int(float64(n) * math.Log2(float64(n)+1)) }

func tableMaxN(s *state, L *lua.LState) int {
	t := L.CheckTable(1)
	n := t.MaxN()
	s.meter.charge(n / movesPerInstruction)
	return give(L, lua.LNumber(n))
}
