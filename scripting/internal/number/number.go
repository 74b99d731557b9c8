// Package number writes and reads numbers as Lua 5.1 does.
package number

import (
	"math"
	"strconv"
	"strings"
)

// wholeLimit is up to where whole numbers are written with all digits, as "%.14g" does.
const wholeLimit = 1e14

// Text is a number as text.
func Text(n float64) string {
	switch {
	case n == math.Trunc(n) && math.Abs(n) < wholeLimit:
		return strconv.FormatInt(int64(n), 10) // 0 for -0, which the interpreter has for -6 % 3
	case math.IsNaN(n):
		return "nan"
	case math.IsInf(n, 1):
		return "inf"
	case math.IsInf(n, -1):
		return "-inf"
	}
	const digits = 14
	return strconv.FormatFloat(n, 'g', digits, 64)
}

// Space is what may stand around a number.
const Space = " \t\n\v\f\r"

// Parse reads a number as Lua's source has them, with a sign.
func Parse(text string) (float64, bool) {
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
