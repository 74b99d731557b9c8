package scripting

import (
	lua "github.com/yuin/gopher-lua"

	"fwx/scripting/internal/number"
)

// instantiate returns the chunk that a prototype was compiled from as a function.
func (s *state) instantiate(proto *prototype) *lua.LFunction {
	if s.concat == nil {
		s.concat = s.L.NewFunction(s.concatenate)
	}
	s.L.Push(s.L.NewFunctionFromProto(proto))
	s.L.Push(s.concat)
	s.L.Call(1, 1)
	fn := s.L.CheckFunction(-1)
	s.L.Pop(1)
	return fn
}

// concatenate is "..", of two operands or more: a string that is doubled forty times over
// would fill any memory within a hundred instructions, and the interpreter's own "..", which
// no script has, knows no bound.
func (s *state) concatenate(L *lua.LState) int {
	n, size := L.GetTop(), 0
	for i := 1; i <= n; i++ {
		switch v := L.Get(i).(type) {
		case lua.LString:
			size += len(v)
		case lua.LNumber:
			var digits [number.MaxText]byte
			size += len(number.Append(digits[:0], float64(v)))
		default:
			return s.concatenateSlowly(L)
		}
	}
	s.checkSize(L, size)
	out := make([]byte, 0, size)
	for i := 1; i <= n; i++ {
		switch v := L.Get(i).(type) {
		case lua.LString:
			out = append(out, v...)
		case lua.LNumber:
			out = number.Append(out, float64(v))
		}
	}
	return give(L, textOf(out))
}

// checkSize raises an error if a string of a size is too large, and counts it.
func (s *state) checkSize(L *lua.LState, size int) {
	if size > maxStringSize {
		L.RaiseError("a string of more than %d MiB", maxStringSize>>20)
	}
	s.meter.chargeBytes(size)
}

// concatenateSlowly is concatenate with operands that are neither strings nor
// numbers: from the right, two at a time.
func (s *state) concatenateSlowly(L *lua.LState) int {
	n := L.GetTop()
	right := L.Get(n)
	for i := n - 1; i >= 1; i-- {
		right = s.concatenatePair(L, L.Get(i), right)
	}
	return give(L, right)
}

func (s *state) concatenatePair(L *lua.LState, left, right lua.LValue) lua.LValue {
	if lua.LVCanConvToString(left) && lua.LVCanConvToString(right) {
		first, second := plainText(left), plainText(right)
		s.checkSize(L, len(first)+len(second))
		return lua.LString(first + second)
	}
	method := L.GetMetaField(left, "__concat")
	if method == lua.LNil {
		method = L.GetMetaField(right, "__concat")
	}
	if method == lua.LNil {
		wrong := left
		if lua.LVCanConvToString(left) {
			wrong = right
		}
		L.RaiseError("attempt to concatenate a %s value", wrong.Type().String())
	}
	L.Push(method)
	L.Push(left)
	L.Push(right)
	L.Call(2, 1)
	result := L.Get(-1)
	L.Pop(1)
	return result
}
