package interp

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// comparedPerInstruction is how many bytes of two strings are compared in the time of an instruction.
const comparedPerInstruction = 256

// equal is a == b, where a is not a number.
func (m *Machine) equal(L *lua.LState, a, b lua.LValue) bool {
	switch a := a.(type) {
	case lua.LString:
		b, ok := b.(lua.LString)
		if !ok || len(a) != len(b) {
			return false
		}
		m.charge(len(a) / comparedPerInstruction)
		return a == b
	case *lua.LNilType:
		return isNil(b)
	}
	return L.Equal(a, b)
}

// ordered is a < b or a <= b, where they are not both numbers.
func (m *Machine) ordered(L *lua.LState, t *thread, opcode int, a, b lua.LValue) bool {
	if opcode == lua.OP_LE {
		return m.lessOrEqual(L, t, a, b)
	}
	return m.less(L, a, b)
}

// less is a < b.
func (m *Machine) less(L *lua.LState, a, b lua.LValue) bool {
	if order, ok := m.order(a, b); ok {
		return order < 0
	}
	return L.LessThan(a, b)
}

// order compares two strings.
func (m *Machine) order(a, b lua.LValue) (order int, ok bool) {
	s, ok := a.(lua.LString)
	if !ok {
		return 0, false
	}
	other, ok := b.(lua.LString)
	if !ok {
		return 0, false
	}
	m.charge(min(len(s), len(other)) / comparedPerInstruction)
	return strings.Compare(string(s), string(other)), true
}

// lessOrEqual is a <= b, where they are not both numbers.
func (m *Machine) lessOrEqual(L *lua.LState, t *thread, a, b lua.LValue) bool {
	if order, ok := m.order(a, b); ok {
		return order <= 0
	}
	if a.Type() != b.Type() {
		L.RaiseError("attempt to compare %v with %v", a.Type().String(), b.Type().String())
		return false
	}
	if fn, ok := bothHave(L, a, b, "__le"); ok {
		return truthy(callBinary(L, t, fn, a, b))
	}
	if fn, ok := bothHave(L, b, a, "__lt"); ok {
		return !truthy(callBinary(L, t, fn, b, a))
	}
	L.RaiseError("attempt to compare %v with %v", b.Type().String(), a.Type().String())
	return false
}

// bothHave returns the function that the metatables of both operands have for an event.
func bothHave(L *lua.LState, a, b lua.LValue, event string) (*lua.LFunction, bool) {
	fn, ok := L.GetMetaField(a, event).(*lua.LFunction)
	if !ok || L.GetMetaField(b, event) != lua.LValue(fn) {
		return nil, false
	}
	return fn, true
}

// concatenate is ".." of the values between two places of the registry.
func concatenate(L *lua.LState, t *thread, first, last int) lua.LValue {
	right := t.reg.array[last]
	for i := last - 1; i >= first; {
		left := t.reg.array[i]
		if !lua.LVCanConvToString(left) || !lua.LVCanConvToString(right) {
			fn, ok := binary(L, left, right, "__concat").(*lua.LFunction)
			if !ok {
				L.RaiseError("cannot perform concat operation between %v and %v", left.Type().String(), right.Type().String())
				return lua.LNil
			}
			right = callBinary(L, t, fn, left, right)
			i--
			continue
		}
		texts := make([]string, i-first+2)
		at := len(texts) - 1
		texts[at] = lua.LVAsString(right)
		for ; i >= first && lua.LVCanConvToString(t.reg.array[i]); i-- {
			at--
			texts[at] = lua.LVAsString(t.reg.array[i])
		}
		right = lua.LString(strings.Join(texts[at:], ""))
	}
	return right
}
