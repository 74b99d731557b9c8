package scripting

import (
	lua "github.com/yuin/gopher-lua"
)

// The stack of a thread grows by a step whenever it is full, and is copied each time. That
// suits handlers, which need little; one that needs much would have it copied hundreds of
// times, some of them within one instruction. So what is going to need room says so.

// roomy is from how many values on a stack grows in proportion.
const roomy = 256

// makeRoom lets the stack of a thread grow by so many values at once, if it has to grow,
// which counts.
func (s *state) makeRoom(thread *lua.LState, values int) {
	if !parts.known {
		return
	}
	step, wanted := parts.step(thread), max(registryGrowth, min(values, maxRegistry))
	grows := *step < wanted
	*step = wanted
	if grows {
		s.meter.charge(wanted / movesPerInstruction)
	}
}

// easeGrowth is called every now and then: a stack that recursion has made large is
// likely to become larger.
func (s *state) easeGrowth() {
	if thread := s.L.G.CurrentThread; thread != nil {
		if size := len(parts.stack(thread)); size >= roomy {
			s.makeRoom(thread, size/2)
		}
	}
}

// pay counts work of a function of the host that is in the midst of more, and ends it by
// the error of a budget that is spent.
func (s *state) pay(L *lua.LState, instructions int) {
	s.meter.charge(instructions)
	s.raiseSpent(L)
}

// raiseSpent raises the error of a budget that is spent.
func (s *state) raiseSpent(L *lua.LState) {
	if s.meter.Left < 0 {
		L.RaiseError("%s", s.meter.Err().Error())
	}
}

// values counts values that a function returns, and makes room for them.
func (s *state) values(L *lua.LState, n int) {
	if n = min(n, maxRegistry); n > 0 {
		s.meter.charge(n)
		s.makeRoom(L, n)
	}
}

func unpack(s *state, L *lua.LState) int {
	t, first := L.CheckTable(1), optInt(L, 2, 1)
	last := optInt(L, 3, t.Len())
	s.values(L, last-first+1)
	for i := first; i <= last; i++ {
		L.Push(t.RawGetInt(i))
	}
	return max(last-first+1, 0)
}

func stringByte(s *state, L *lua.LState) int {
	text, first := checkText(L, 1), optInt(L, 2, 1)
	from, to := span(len(text), int64(first), int64(optInt(L, 3, first)))
	s.values(L, to-from)
	for i := from; i < to; i++ {
		L.Push(wholes[text[i]])
	}
	return to - from
}

// guardSelect returns the select of the library, which moves its arguments.
func guardSelect(original lua.LGFunction) binding {
	return binding{name: "select", call: func(s *state, L *lua.LState) int {
		s.meter.charge(L.GetTop() / movesPerInstruction)
		return original(L)
	}}
}
