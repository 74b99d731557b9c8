package scripting

import (
	lua "github.com/yuin/gopher-lua"

	"fwx/scripting/internal/number"
)

// The interpreter allocates memory for each number and for each string that it is given. Those that most functions of the
// library return are made once, for all states.

// smallNumbers is below what whole numbers are made once.
const smallNumbers = 1 << 12

var (
	wholes  = makeWholes()
	letters = makeLetters()
)

func makeWholes() (values [smallNumbers]lua.LValue) {
	for i := range values {
		values[i] = lua.LNumber(i)
	}
	return values
}

func makeLetters() (values [256]lua.LValue) {
	for i := range values {
		values[i] = lua.LString([]byte{byte(i)})
	}
	return values
}

// wholeNumber returns a whole number as a value.
func wholeNumber(n int) lua.LValue {
	if uint(n) < smallNumbers {
		return wholes[n]
	}
	return lua.LNumber(n)
}

// textValue returns a string as a value.
func textValue(s lua.LString) lua.LValue {
	switch len(s) {
	case 0:
		return emptyText
	case 1:
		return letters[s[0]]
	}
	return s
}

// firstText is the first argument, a string or a number, as a string.
func firstText(L *lua.LState) lua.LValue {
	if v, ok := L.Get(1).(lua.LNumber); ok {
		return lua.LString(number.Text(float64(v)))
	}
	return L.Get(1)
}

var emptyText lua.LValue = lua.LString("")

// maxBorrowed is up to what size memory for texts is kept for the next.
const maxBorrowed = 16 << 10

// borrowText returns memory to put a text together in, until giveBorrowed. Whoever asks for some in the meantime gets memory
// of its own: a function of the script may be called, and may wait.
func (s *state) borrowText() []byte {
	buf := s.textMemory
	s.textMemory = nil
	return buf[:0]
}

// giveBorrowed returns the text to the script, and keeps the memory unless it is large: then it is the text itself.
func (s *state) giveBorrowed(L *lua.LState, text []byte) int {
	if cap(text) > maxBorrowed {
		return give(L, textOf(text))
	}
	s.textMemory = text
	return give(L, textValue(lua.LString(text)))
}
