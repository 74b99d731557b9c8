package scripting

import (
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"fwx/scripting/internal/number"
)

// The interpreter writes numbers as Go does, and reads texts as Go's source has them: "010" is 8. These functions do
// both as Lua 5.1 does. Arithmetic on strings comes here too, by their metatable.

// plainText is a value as text, without its metatable.
func plainText(v lua.LValue) string {
	if n, ok := v.(lua.LNumber); ok {
		return number.Text(float64(n))
	}
	return v.String()
}

// shownText is a value as tostring has it.
func shownText(L *lua.LState, v lua.LValue) string {
	if n, ok := v.(lua.LNumber); ok {
		return number.Text(float64(n))
	}
	return plainText(L.ToStringMeta(v))
}

// toNumber is a value as a number, as arithmetic and the library take it.
func toNumber(v lua.LValue) (float64, bool) {
	switch v := v.(type) {
	case lua.LNumber:
		return float64(v), true
	case lua.LString:
		return number.Parse(string(v))
	}
	return 0, false
}

// checkNumber is an argument of a library of Lua.
func checkNumber(L *lua.LState, i int) float64 {
	n, ok := toNumber(L.Get(i))
	if !ok {
		L.TypeError(i, lua.LTNumber)
	}
	return n
}

// checkInt is an argument of a library of Lua, without its fraction. One that is too large is the largest.
func checkInt(L *lua.LState, i int) int {
	n := checkNumber(L, i)
	return int(min(max(n, -maxExact), maxExact))
}

// optInt is checkInt, or a number in the place of nil.
func optInt(L *lua.LState, i, otherwise int) int {
	if L.Get(i) == lua.LNil {
		return otherwise
	}
	return checkInt(L, i)
}

// checkText is a string or number as text.
func checkText(L *lua.LState, i int) string {
	if n, ok := L.Get(i).(lua.LNumber); ok {
		return number.Text(float64(n))
	}
	return L.CheckString(i)
}

// optText is checkText, or a text in the place of nil.
func optText(L *lua.LState, i int, otherwise string) string {
	if L.Get(i) == lua.LNil {
		return otherwise
	}
	return checkText(L, i)
}

// numberFunctions replace those of the basic library.
var numberFunctions = []binding{
	{"tonumber", luaToNumber, "", ""},
	{"tostring", func(_ *state, L *lua.LState) int { return give(L, lua.LString(shownText(L, L.CheckAny(1)))) }, "", ""},
}

func luaToNumber(_ *state, L *lua.LState) int {
	v, base := L.CheckAny(1), optInt(L, 2, 10)
	if base < 2 || base > 36 {
		L.ArgError(2, "base out of range")
	}
	if base == 10 {
		n, ok := toNumber(v)
		if !ok {
			return give(L, lua.LNil)
		}
		return give(L, lua.LNumber(n))
	}
	text := strings.Trim(checkText(L, 1), number.Space)
	if digits, negative, ok := number.Hex(text); ok && base == 16 {
		text = map[bool]string{true: "-"}[negative] + digits
	}
	n, err := strconv.ParseInt(text, base, 64)
	if err != nil || strings.Contains(text, "_") {
		return give(L, lua.LNil)
	}
	return give(L, lua.LNumber(n))
}

// stringArithmetic are the operators of strings.
var stringArithmetic = []binding{
	arithmeticOf("__add", func(a, b float64) float64 { return a + b }),
	arithmeticOf("__sub", func(a, b float64) float64 { return a - b }),
	arithmeticOf("__mul", func(a, b float64) float64 { return a * b }),
	arithmeticOf("__div", func(a, b float64) float64 { return a / b }),
	arithmeticOf("__mod", modulo),
	arithmeticOf("__pow", math.Pow),
	{name: "__unm", call: func(_ *state, L *lua.LState) int {
		n, ok := toNumber(L.Get(1))
		if !ok {
			L.RaiseError("attempt to perform arithmetic on a string value")
		}
		return give(L, lua.LNumber(-n))
	}},
}

// modulo is "%" as the interpreter computes it of numbers.
func modulo(a, b float64) float64 {
	n := math.Mod(a, b)
	if b > 0 && n < 0 || b < 0 && n > 0 {
		n += b
	}
	return n
}

// arithmeticOf is an operator of which at least one operand is a string. The other may have an operator of its own.
func arithmeticOf(name string, compute func(a, b float64) float64) binding {
	return binding{name: name, call: func(_ *state, L *lua.LState) int {
		left, isLeft := toNumber(L.Get(1))
		right, isRight := toNumber(L.Get(2))
		if isLeft && isRight {
			return give(L, lua.LNumber(compute(left, right)))
		}
		for i := 1; i <= 2; i++ {
			if v := L.Get(i); v.Type() != lua.LTString {
				if operator := L.GetMetaField(v, name); operator != lua.LNil {
					L.Insert(operator, 1)
					L.Call(2, 1)
					return 1
				}
			}
		}
		wrong := L.Get(1)
		if isLeft {
			wrong = L.Get(2)
		}
		L.RaiseError("attempt to perform arithmetic on a %s value", wrong.Type().String())
		return 0
	}}
}

// guardMath has the functions of the library math read texts as Lua does.
func (s *state) guardMath(library *lua.LTable) {
	library.RawSetString("huge", lua.LNumber(math.Inf(1)))
	var guarded []binding
	library.ForEach(func(name, value lua.LValue) {
		if f, ok := value.(*lua.LFunction); ok {
			guarded = append(guarded, readingNumbers(name.String(), f.GFunction))
		}
	})
	s.install(library, guarded...)
}

func readingNumbers(name string, original lua.LGFunction) binding {
	return binding{name: name, call: func(_ *state, L *lua.LState) int {
		for i := 1; i <= L.GetTop(); i++ {
			if text, ok := L.Get(i).(lua.LString); ok {
				n, ok := number.Parse(string(text))
				if !ok {
					L.TypeError(i, lua.LTNumber)
				}
				L.Replace(i, lua.LNumber(n))
			}
		}
		return original(L)
	}}
}
