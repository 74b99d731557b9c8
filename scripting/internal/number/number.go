// Package number writes and reads numbers as Lua 5.1 does.
package number

import (
	"math"
	"strconv"
	"strings"
)

// wholeLimit is up to where whole numbers are written with all digits, as "%.14g" does.
const wholeLimit = 1e14

// MaxText is the longest that a number is as text.
const MaxText = 24

// Text is a number as text.
func Text(n float64) string {
	if i := int64(n); float64(i) == n && -wholeLimit < n && n < wholeLimit {
		return strconv.FormatInt(i, 10) // 0 for -0, which the interpreter has for -6 % 3
	}
	var text [MaxText]byte
	return string(Append(text[:0], n))
}

// Append is Text behind other text.
func Append(to []byte, n float64) []byte {
	if i := int64(n); float64(i) == n && -wholeLimit < n && n < wholeLimit {
		return strconv.AppendInt(to, i, 10)
	}
	switch {
	case math.IsNaN(n):
		return append(to, "nan"...)
	case math.IsInf(n, 1):
		return append(to, "inf"...)
	case math.IsInf(n, -1):
		return append(to, "-inf"...)
	}
	const digits = 14
	return strconv.AppendFloat(to, n, 'g', digits, 64)
}

// Space is what may stand around a number.
const Space = " \t\n\v\f\r"

// Parse reads a number as Lua's source has them, with a sign.
func Parse(text string) (float64, bool) {
	if n, ok := digits(text); ok {
		return n, true
	}
	text = strings.Trim(text, Space)
	if digits, negative, ok := Hex(text); ok {
		n, err := strconv.ParseFloat("0x"+digits+"p0", 64)
		if negative {
			n = -n
		}
		return n, err == nil && !strings.ContainsAny(digits, "_.pP")
	}
	if strings.ContainsAny(text, "_xXpPiInN") { // what Go takes beyond that
		return 0, false
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil || math.IsInf(n, 0)
}

// digits reads a number of some digits and nothing else, as most are.
func digits(text string) (n float64, ok bool) {
	const exact = 15 // digits, that a number of Lua has them all
	if len(text) == 0 || len(text) > exact {
		return 0, false
	}
	v := int64(0)
	for i := range len(text) {
		c := text[i] - '0'
		if c > 9 {
			return 0, false
		}
		v = 10*v + int64(c)
	}
	return float64(v), true
}

// Hex returns the digits behind "0x".
func Hex(text string) (digits string, negative, ok bool) {
	digits = strings.TrimPrefix(text, "-")
	negative = len(digits) < len(text)
	if !negative {
		digits = strings.TrimPrefix(text, "+")
	}
	if len(digits) < 3 || digits[0] != '0' || digits[1]|0x20 != 'x' {
		return "", false, false
	}
	return digits[2:], negative, true
}
