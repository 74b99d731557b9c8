package strict

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes. As text it is a whole number with a unit, "64KiB" or
// "10MB", or without one.
type Size int64

// units are the units of a Size, the largest first.
var units = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40},
	{"TB", 1e12},
	{"GiB", 1 << 30},
	{"GB", 1e9},
	{"MiB", 1 << 20},
	{"MB", 1e6},
	{"KiB", 1 << 10},
	{"kB", 1e3},
	{"B", 1},
}

// UnmarshalText reads a size. The case of the unit does not matter, and a space
// may stand before it.
func (s *Size) UnmarshalText(text []byte) error {
	digits := strings.TrimLeft(string(text), "0123456789")
	number, unit := string(text[:len(text)-len(digits)]), strings.TrimPrefix(digits, " ")
	scale, known := scaleOf(unit)
	if number == "" || !known || (unit == "" && digits != "") {
		return fmt.Errorf(`%q is not a size; write "64KiB", "10MB" or a number of bytes`, text)
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n > math.MaxInt64/scale {
		return fmt.Errorf("%q is too large", text)
	}
	*s = Size(n * scale)
	return nil
}

func scaleOf(unit string) (scale int64, known bool) {
	if unit == "" {
		return 1, true
	}
	for _, u := range units {
		if strings.EqualFold(u.name, unit) {
			return u.bytes, true
		}
	}
	return 0, false
}

// String writes the size exactly, in the largest unit that divides it.
func (s Size) String() string {
	for _, u := range units {
		if u.bytes > 1 && s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}
