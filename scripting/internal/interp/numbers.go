package interp

import (
	"math"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	lua "github.com/yuin/gopher-lua"
)

// smallNumbers is below what whole numbers are made once, for all states.
const smallNumbers = 1 << 14

var (
	small     [smallNumbers]lua.LValue
	makeSmall = sync.OnceFunc(func() {
		numbers := new([smallNumbers]float64)
		for i := range numbers {
			numbers[i] = float64(i)
			small[i] = valueAt(&numbers[i])
		}
	})
)

// valueAt is the number at a place as a value.
func valueAt(place *float64) lua.LValue {
	value := face{layout.number, unsafe.Pointer(place)}
	return *(*lua.LValue)(unsafe.Pointer(&value))
}

// number returns a number as a value. As with gopher-lua, what is computed is 0 and never -0.
func (al *allocator) number(n float64) lua.LValue {
	if i := int(n); uint(i) < smallNumbers && float64(i) == n {
		return small[i]
	}
	return al.box(n)
}

// leastChunk is for how many numbers memory is taken at once.
const leastChunk = 64

// box keeps a number among others that are made at about the same time, as gopher-lua does.
func (al *allocator) box(n float64) lua.LValue {
	if len(al.fptrs) == cap(al.fptrs) {
		al.fptrs = make([]float64, 0, max(al.size, leastChunk))
	}
	al.fptrs = append(al.fptrs, n)
	return valueAt(&al.fptrs[len(al.fptrs)-1])
}

// exact is up to where whole numbers are exact.
const exact = 1 << 53

// modulo is "%" as gopher-lua has it, without a division of floating-point numbers where both operands are whole.
func modulo(a, b float64) float64 {
	if a >= 0 && b > 0 && a < exact && b < exact {
		if i, j := int64(a), int64(b); float64(i) == a && float64(j) == b {
			if i|j < 1<<32 {
				return float64(uint32(i) % uint32(j))
			}
			return float64(i % j)
		}
	}
	n := math.Mod(a, b)
	if b > 0 && n < 0 || b < 0 && n > 0 {
		n += b
	}
	return n
}

// operators are the events of the arithmetic instructions, by opcode.
var operators = [...]string{
	lua.OP_ADD: "__add", lua.OP_SUB: "__sub", lua.OP_MUL: "__mul", lua.OP_DIV: "__div", lua.OP_MOD: "__mod", lua.OP_POW: "__pow",
}

func compute(opcode int, a, b float64) float64 {
	switch opcode {
	case lua.OP_ADD:
		return a + b
	case lua.OP_SUB:
		return a - b
	case lua.OP_MUL:
		return a * b
	case lua.OP_DIV:
		return a / b
	case lua.OP_MOD:
		return modulo(a, b)
	default:
		return math.Pow(a, b)
	}
}

// arithmetic is an operator of which one operand is not a number.
func arithmetic(L *lua.LState, t *thread, opcode int, a, b lua.LValue) lua.LValue {
	event := operators[opcode]
	if fn, ok := binary(L, a, b, event).(*lua.LFunction); ok {
		return callBinary(L, t, fn, a, b)
	}
	x, isNumber := toNumber(a)
	y, isNumberToo := toNumber(b)
	if isNumber && isNumberToo {
		return lua.LNumber(compute(opcode, x, y))
	}
	if isNumber {
		a = lua.LNumber(x)
	}
	if isNumberToo {
		b = lua.LNumber(y)
	}
	L.RaiseError("cannot perform %v operation between %v and %v", strings.TrimLeft(event, "_"), a.Type().String(), b.Type().String())
	return lua.LNil
}

// negative is a value that is not a number with its sign changed.
func negative(L *lua.LState, t *thread, v lua.LValue) lua.LValue {
	if fn, ok := L.GetMetaField(v, "__unm").(*lua.LFunction); ok {
		t.reg.push(L, fn)
		t.reg.push(L, v)
		return call(L, t, 1)
	}
	if n, ok := toNumber(v); ok {
		return lua.LNumber(-n)
	}
	L.RaiseError("__unm undefined")
	return lua.LNil
}

// binary is what a metatable of either operand has for an event, the left one's first.
func binary(L *lua.LState, a, b lua.LValue, event string) lua.LValue {
	if v := L.GetMetaField(a, event); !isNil(v) {
		return v
	}
	return L.GetMetaField(b, event)
}

func callBinary(L *lua.LState, t *thread, fn *lua.LFunction, a, b lua.LValue) lua.LValue {
	t.reg.push(L, fn)
	t.reg.push(L, a)
	t.reg.push(L, b)
	return call(L, t, 2)
}

// toNumber is a value as gopher-lua's arithmetic takes it.
func toNumber(v lua.LValue) (float64, bool) {
	switch v := v.(type) {
	case lua.LNumber:
		return float64(v), true
	case lua.LString:
		text := strings.Trim(string(v), " \t\n")
		if n, err := strconv.ParseInt(text, 0, 64); err == nil {
			return float64(n), true
		}
		n, err := strconv.ParseFloat(text, 64)
		return n, err == nil
	}
	return 0, false
}
