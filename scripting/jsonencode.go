package scripting

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"
)

// encoder writes a value as JSON. The keys of an object are in order, so that the
// same value is always the same text.
type encoder struct {
	state *state
	out   []byte
	above []*lua.LTable // the tables around the one at hand
}

// value writes a value. Each one is paid for, tables without elements too, and the result
// has a bound: a table that is shared often enough takes for ever otherwise.
func (e *encoder) value(v lua.LValue, depth int) error {
	if len(e.out) > maxStringSize {
		return errors.New("the result is too large")
	}
	if err := e.state.meter.pay(jsonCost); err != nil {
		return err
	}
	switch v := v.(type) {
	case *lua.LNilType:
		e.out = append(e.out, "null"...)
	case lua.LBool:
		e.out = strconv.AppendBool(e.out, bool(v))
	case lua.LNumber:
		return e.number(float64(v))
	case lua.LString:
		e.text(string(v))
	case *lua.LTable:
		return e.table(v, depth)
	case *lua.LUserData:
		return e.object(v)
	default:
		return fmt.Errorf("%s has no form in JSON", describe(v))
	}
	return nil
}

func (e *encoder) object(v *lua.LUserData) error {
	switch v := v.Value.(type) {
	case null:
		e.out = append(e.out, "null"...)
	case *chunk:
		if !v.valid {
			return errors.New("the chunk is no longer valid")
		}
		e.text(string(v.data))
	default:
		return errors.New("an object has no form in JSON")
	}
	return nil
}

func (e *encoder) number(v float64) error {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("the number %v has no form in JSON", v)
	}
	e.out = appendNumber(e.out, v)
	return nil
}

// Numbers from smallestPlain to largestPlain are written without an exponent.
const smallestPlain, largestPlain = 1e-6, 1e21

// appendNumber appends a number in the shortest form that is read as the same number
// again, as JavaScript and Go's own encoder write it.
func appendNumber(dst []byte, v float64) []byte {
	switch size := math.Abs(v); {
	case v == 0:
		return append(dst, '0')
	case size >= smallestPlain && size < largestPlain:
		return strconv.AppendFloat(dst, v, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, v, 'e', -1, 64)
	if n := len(dst); dst[n-2] == '0' && (dst[n-3] == '-' || dst[n-3] == '+') { // 1e-07
		dst = append(dst[:n-2], dst[n-1])
	}
	return dst
}

const hexDigits = "0123456789abcdef"

// text writes a string. What is no UTF-8 becomes U+FFFD, as JSON has nothing for it.
func (e *encoder) text(s string) {
	e.state.meter.charge(len(s) / quotedPerInstruction)
	e.out = append(e.out, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			e.ascii(c)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		e.out = utf8.AppendRune(e.out, r)
		i += size
	}
	e.out = append(e.out, '"')
}

func (e *encoder) ascii(c byte) {
	switch {
	case c == '"' || c == '\\':
		e.out = append(e.out, '\\', c)
	case c == '\n':
		e.out = append(e.out, `\n`...)
	case c == '\r':
		e.out = append(e.out, `\r`...)
	case c == '\t':
		e.out = append(e.out, `\t`...)
	case c < ' ' || c == 0x7f:
		e.out = append(e.out, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
	default:
		e.out = append(e.out, c)
	}
}

func (e *encoder) table(t *lua.LTable, depth int) error {
	if depth >= maxJSONDepth {
		return fmt.Errorf("nested deeper than %d", maxJSONDepth)
	}
	if slices.Contains(e.above, t) {
		return errors.New("a table contains itself")
	}
	e.above = append(e.above, t)
	defer func() { e.above = e.above[:len(e.above)-1] }()
	keys, err := e.keysOf(t)
	if err != nil {
		return err
	}
	if n := t.Len(); n > 0 || t.Metatable == e.state.array {
		if len(keys) > 0 {
			return fmt.Errorf("a table has both a list and the key %q", keys[0])
		}
		return e.list(t, n, depth)
	}
	return e.fields(t, keys, depth)
}

// keysOf returns the keys of a table that are strings, in order, and pays for the order.
func (e *encoder) keysOf(t *lua.LTable) (keys []string, err error) {
	n, numbers := t.Len(), 0
	t.ForEach(func(key, _ lua.LValue) {
		switch k := key.(type) {
		case lua.LString:
			keys = append(keys, string(k))
		case lua.LNumber:
			numbers++
			if k < 1 || k > lua.LNumber(n) || k != lua.LNumber(int(k)) {
				err = fmt.Errorf("the key %v of a table is not one of a list", k)
			}
		default:
			err = fmt.Errorf("%s is the key of a table", describe(key))
		}
	})
	if err == nil && numbers < n {
		err = errors.New("a list has holes")
	}
	if err == nil {
		err = e.state.meter.pay(sortCost(len(keys)))
	}
	slices.Sort(keys)
	return keys, err
}

func (e *encoder) list(t *lua.LTable, n, depth int) error {
	e.out = append(e.out, '[')
	for i := 1; i <= n; i++ {
		if i > 1 {
			e.out = append(e.out, ',')
		}
		if err := e.value(t.RawGetInt(i), depth+1); err != nil {
			return err
		}
	}
	e.out = append(e.out, ']')
	return nil
}

func (e *encoder) fields(t *lua.LTable, keys []string, depth int) error {
	e.out = append(e.out, '{')
	for i, key := range keys {
		if i > 0 {
			e.out = append(e.out, ',')
		}
		e.text(key)
		e.out = append(e.out, ':')
		if err := e.value(t.RawGetString(key), depth+1); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	e.out = append(e.out, '}')
	return nil
}
