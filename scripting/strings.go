package scripting

import (
	"bytes"
	"fmt"
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"
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

func stringLen(_ *state, L *lua.LState) int { return give(L, lua.LNumber(len(checkText(L, 1)))) }

func stringSub(s *state, L *lua.LState) int {
	text := checkText(L, 1)
	from, to := span(len(text), int64(checkInt(L, 2)), int64(optInt(L, 3, -1)))
	part := partOf(text, from, to)
	if pins(to-from, len(text)) { // it was copied
		s.meter.chargeBytes(to - from)
	}
	return give(L, part)
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
	return s.giveBytes(L, out)
}

func stringUpper(s *state, L *lua.LState) int { return s.mapBytes(L, 'a', 'z', 'A'-'a') }

func stringLower(s *state, L *lua.LState) int { return s.mapBytes(L, 'A', 'Z', 'a'-'A') }

// mapBytes moves the bytes of a range by a distance.
func (s *state) mapBytes(L *lua.LState, from, to byte, by int) int {
	out := []byte(checkText(L, 1))
	for i, c := range out {
		if from <= c && c <= to {
			out[i] = byte(int(c) + by)
		}
	}
	s.meter.charge(len(out) / mappedPerInstruction)
	return s.giveBytes(L, out)
}

func stringReverse(s *state, L *lua.LState) int {
	in := checkText(L, 1)
	out := make([]byte, len(in))
	for i := range len(in) {
		out[len(in)-1-i] = in[i]
	}
	return s.giveBytes(L, out)
}

// stringFormat is string.format of Lua 5.1.
func stringFormat(s *state, L *lua.LState) int {
	f := formatter{state: s, L: L, rest: checkText(L, 1), arg: 1}
	for {
		text, rest, found := strings.Cut(f.rest, "%")
		f.out.WriteString(text)
		if !found {
			break
		}
		f.rest = rest
		f.conversion()
		s.meter.charge(conversionCost)
		s.checkSize(L, f.out.Len()-f.counted)
		f.counted = f.out.Len()
		if f.counted > maxStringSize {
			s.checkSize(L, f.counted)
		}
	}
	return s.giveBytes(L, f.out.Bytes())
}

// formatter carries out the conversions of a format.
type formatter struct {
	state   *state
	L       *lua.LState
	rest    string // of the format
	arg     int    // the last that was used
	out     bytes.Buffer
	counted int
}

// conversion carries out what follows a "%".
func (f *formatter) conversion() {
	spec := f.spec()
	if f.rest == "" {
		f.L.RaiseError("invalid option at the end of the format")
	}
	verb := f.rest[0]
	f.rest = f.rest[1:]
	if verb == '%' {
		f.out.WriteByte('%')
		return
	}
	f.arg++
	f.convert(spec, verb)
}

// spec takes the flags, the width and the precision off the format.
func (f *formatter) spec() string {
	i := len(f.rest) - len(strings.TrimLeft(f.rest, "-+ #0"))
	if i > len("-+ #0") {
		f.L.RaiseError("invalid format (repeated flags)")
	}
	i = f.digits(i)
	if i < len(f.rest) && f.rest[i] == '.' {
		i = f.digits(i + 1)
	}
	spec := f.rest[:i]
	f.rest = f.rest[i:]
	return "%" + spec
}

// digits returns the end of up to two digits at i.
func (f *formatter) digits(i int) int {
	end := i
	for end < len(f.rest) && '0' <= f.rest[end] && f.rest[end] <= '9' {
		end++
	}
	if end-i > 2 {
		f.L.RaiseError("invalid format (width or precision too long)")
	}
	return end
}

func (f *formatter) convert(spec string, verb byte) {
	switch verb {
	case 'd', 'i':
		fmt.Fprintf(&f.out, spec+"d", int64(f.number()))
	case 'u', 'o', 'x', 'X':
		if verb == 'u' {
			verb = 'd'
		}
		v := unsigned(f.number())
		if v == 0 {
			spec = strings.ReplaceAll(spec, "#", "") // C writes no prefix to 0
		}
		fmt.Fprintf(&f.out, spec+string(verb), v)
	case 'e', 'E', 'f', 'g', 'G':
		f.float(spec, verb, f.number())
	case 'c':
		f.out.WriteByte(byte(int64(f.number())))
	case 's':
		fmt.Fprintf(&f.out, spec+"s", shownText(f.L, f.L.CheckAny(f.arg)))
	case 'q':
		f.quote(checkText(f.L, f.arg))
	default:
		f.L.RaiseError("invalid option '%%%c' to format", verb)
	}
}

func (f *formatter) number() float64 { return checkNumber(f.L, f.arg) }

func unsigned(v float64) uint64 {
	if v < 0 {
		return uint64(int64(v))
	}
	return uint64(v)
}

// float prints a number as C does where Go does otherwise.
func (f *formatter) float(spec string, verb byte, v float64) {
	switch {
	case math.IsInf(v, 0) || math.IsNaN(v):
		text := map[bool]string{true: "nan", false: "inf"}[math.IsNaN(v)]
		if v < 0 {
			text = "-" + text
		}
		width, _, _ := strings.Cut(strings.ReplaceAll(spec, "0", ""), ".")
		fmt.Fprintf(&f.out, width+"s", text)
	case (verb == 'g' || verb == 'G') && !strings.Contains(spec, "."):
		fmt.Fprintf(&f.out, spec+".6"+string(verb), v) // Go's default is the shortest form
	default:
		fmt.Fprintf(&f.out, spec+string(verb), v)
	}
}

// quote writes a string as Lua reads it.
func (f *formatter) quote(text string) {
	f.out.WriteByte('"')
	for i := range len(text) {
		switch c := text[i]; c {
		case '"', '\\', '\n':
			f.out.WriteByte('\\')
			f.out.WriteByte(c)
		case '\r':
			f.out.WriteString(`\r`)
		case 0:
			f.out.WriteString(`\000`)
		default:
			f.out.WriteByte(c)
		}
	}
	f.out.WriteByte('"')
}

func tableConcat(s *state, L *lua.LState) int {
	t := L.CheckTable(1)
	separator := optText(L, 2, "")
	first, last := optInt(L, 3, 1), optInt(L, 4, t.Len())
	var b strings.Builder
	for i := first; i <= last; i++ {
		v := t.RawGetInt(i)
		if !lua.LVCanConvToString(v) {
			L.RaiseError("invalid value (%s) at index %d in table for concat", v.Type().String(), i)
		}
		before := b.Len()
		b.WriteString(plainText(v))
		if i < last {
			b.WriteString(separator)
		}
		s.pay(L, 1+(b.Len()-before)/bytesPerInstruction)
		if b.Len() > maxStringSize {
			L.RaiseError("table.concat: a string of more than %d MiB", maxStringSize>>20)
		}
	}
	return give(L, lua.LString(b.String()))
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
