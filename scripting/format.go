package scripting

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// stringFormat is string.format of Lua 5.1.
func stringFormat(s *state, L *lua.LState) int {
	f := formatter{state: s, L: L, rest: checkText(L, 1), arg: 1, out: s.borrowText()}
	for {
		text, rest, found := strings.Cut(f.rest, "%")
		f.out = append(f.out, text...)
		if !found {
			break
		}
		f.rest = rest
		f.conversion()
		s.meter.charge(conversionCost)
		s.checkSize(L, len(f.out)-f.counted)
		f.counted = len(f.out)
		if f.counted > maxStringSize {
			s.checkSize(L, f.counted)
		}
	}
	s.meter.chargeBytes(len(f.out))
	return s.giveBorrowed(L, f.out)
}

// formatter carries out the conversions of a format.
type formatter struct {
	state   *state
	L       *lua.LState
	rest    string // of the format
	arg     int    // the last that was used
	out     []byte
	counted int
}

// layout is what stands between "%" and the letter of a conversion.
type layout struct {
	text      string // as it is written, with the "%"
	left      bool   // "-"
	zeros     bool   // "0"
	other     bool   // "+", " " or "#", which fmt carries out
	width     int
	precision int // -1: none is given
}

// conversion carries out what follows a "%".
func (f *formatter) conversion() {
	at := f.layout()
	if f.rest == "" {
		f.L.RaiseError("invalid option at the end of the format")
	}
	verb := f.rest[0]
	f.rest = f.rest[1:]
	if verb == '%' {
		f.out = append(f.out, '%')
		return
	}
	f.arg++
	f.convert(at, verb)
}

// layout takes the flags, the width and the precision off the format.
func (f *formatter) layout() layout {
	const flags = "-+ #0"
	at := layout{precision: -1}
	i := 0
	for ; i < len(f.rest) && strings.IndexByte(flags, f.rest[i]) >= 0; i++ {
		switch f.rest[i] {
		case '-':
			at.left = true
		case '0':
			at.zeros = true
		default:
			at.other = true
		}
	}
	if i > len(flags) {
		f.L.RaiseError("invalid format (repeated flags)")
	}
	at.width, i = f.digits(i)
	if i < len(f.rest) && f.rest[i] == '.' {
		at.precision, i = f.digits(i + 1)
	}
	at.text = f.rest[:i]
	f.rest = f.rest[i:]
	return at
}

// digits reads up to two digits at i, and returns their end too.
func (f *formatter) digits(i int) (n, end int) {
	end = i
	for ; end < len(f.rest) && isDigit(f.rest[end]); end++ {
		n = 10*n + int(f.rest[end]-'0')
		if end-i >= 2 {
			f.L.RaiseError("invalid format (width or precision too long)")
		}
	}
	return n, end
}

func (f *formatter) convert(at layout, verb byte) {
	switch verb {
	case 'd', 'i':
		v := int64(f.number())
		if at.other || at.precision >= 0 {
			f.out = fmt.Appendf(f.out, "%"+at.text+"d", v)
			return
		}
		f.pad(at, func(out []byte) []byte { return strconv.AppendInt(out, v, 10) })
	case 'u', 'o', 'x', 'X':
		f.unsigned(at, verb, unsigned(f.number()))
	case 'e', 'E', 'f', 'g', 'G':
		f.float(at, verb, f.number())
	case 'c':
		c := byte(int64(f.number()))
		at.zeros = false
		f.pad(at, func(out []byte) []byte { return append(out, c) })
	case 's':
		shown := shownText(f.L, f.L.CheckAny(f.arg))
		if at.precision >= 0 && at.precision < len(shown) {
			shown = shown[:at.precision]
		}
		at.zeros = false
		f.pad(at, func(out []byte) []byte { return append(out, shown...) })
	case 'q':
		f.quote(checkText(f.L, f.arg))
	default:
		f.L.RaiseError("invalid option '%%%c' to format", verb)
	}
}

// pad writes something within the width of a conversion.
func (f *formatter) pad(at layout, write func(out []byte) []byte) {
	begin := len(f.out)
	f.out = write(f.out)
	missing := at.width - (len(f.out) - begin)
	if missing <= 0 {
		return
	}
	if at.left {
		for range missing {
			f.out = append(f.out, ' ')
		}
		return
	}
	filler := byte(' ')
	if at.zeros {
		filler = '0'
		if f.out[begin] == '-' { // the zeros come behind it
			begin++
		}
	}
	for range missing {
		f.out = append(f.out, 0)
	}
	copy(f.out[begin+missing:], f.out[begin:])
	for i := range missing {
		f.out[begin+i] = filler
	}
}

func (f *formatter) number() float64 { return checkNumber(f.L, f.arg) }

func unsigned(v float64) uint64 {
	if v < 0 {
		return uint64(int64(v))
	}
	return uint64(v)
}

func (f *formatter) unsigned(at layout, verb byte, v uint64) {
	if at.other || at.precision >= 0 || verb == 'X' {
		if verb == 'u' {
			verb = 'd'
		}
		if v == 0 {
			at.text = strings.ReplaceAll(at.text, "#", "") // C writes no prefix to 0
		}
		f.out = fmt.Appendf(f.out, "%"+at.text+string(verb), v)
		return
	}
	base := 10
	switch verb {
	case 'o':
		base = 8
	case 'x':
		base = 16
	}
	f.pad(at, func(out []byte) []byte { return strconv.AppendUint(out, v, base) })
}

// float prints a number as C does where Go does otherwise.
func (f *formatter) float(at layout, verb byte, v float64) {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		text := map[bool]string{true: "nan", false: "inf"}[math.IsNaN(v)]
		if v < 0 {
			text = "-" + text
		}
		width, _, _ := strings.Cut(strings.ReplaceAll(at.text, "0", ""), ".")
		f.out = fmt.Appendf(f.out, "%"+width+"s", text)
		return
	}
	const usual = 6
	if !at.other {
		precision := at.precision
		if precision < 0 {
			precision = usual
		}
		f.pad(at, func(out []byte) []byte { return strconv.AppendFloat(out, v, verb, precision, 64) })
		return
	}
	if (verb == 'g' || verb == 'G') && at.precision < 0 {
		at.text += ".6" // Go's default is the shortest form
	}
	f.out = fmt.Appendf(f.out, "%"+at.text+string(verb), v)
}

// quote writes a string as Lua reads it.
func (f *formatter) quote(text string) {
	f.out = append(f.out, '"')
	for i := range len(text) {
		switch c := text[i]; c {
		case '"', '\\', '\n':
			f.out = append(f.out, '\\', c)
		case '\r':
			f.out = append(f.out, `\r`...)
		case 0:
			f.out = append(f.out, `\000`...)
		default:
			f.out = append(f.out, c)
		}
	}
	f.out = append(f.out, '"')
}
