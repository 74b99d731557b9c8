package interp

import (
	"sync"

	lua "github.com/yuin/gopher-lua"
)

// segments are those that no stack of calls has.
var segments = sync.Pool{New: func() any { return new(segment) }}

func (s *callStack) empty() bool { return s.segIdx == 0 && s.segSp == 0 }

// depth is how many calls there are.
func (s *callStack) depth() int { return int(s.segSp) + int(s.segIdx)*lua.FramesPerSegment }

// last is the innermost call; nil: there is none.
func (s *callStack) last() *frame {
	if s.segSp > 0 {
		return &s.segments[s.segIdx].array[s.segSp-1]
	}
	if s.segIdx == 0 {
		return nil
	}
	return &s.segments[s.segIdx-1].array[lua.FramesPerSegment-1]
}

// push returns the place of one call more. It panics, as gopher-lua does, if the stack is full.
func (s *callStack) push() *frame {
	if s.segSp >= lua.FramesPerSegment {
		if int(s.segIdx) >= len(s.segments)-1 {
			panic("lua callstack overflow")
		}
		s.segIdx++
		s.segments[s.segIdx] = segments.Get().(*segment)
		s.segSp = 0
	}
	f := &s.segments[s.segIdx].array[s.segSp]
	s.segSp++
	return f
}

func (s *callStack) pop() *frame {
	if s.segSp == 0 {
		if s.segIdx == 0 {
			return nil
		}
		segments.Put(s.segments[s.segIdx])
		s.segments[s.segIdx] = nil
		s.segIdx--
		s.segSp = lua.FramesPerSegment
	}
	s.segSp--
	return &s.segments[s.segIdx].array[s.segSp]
}

// callable returns the function that a call of a value calls; with is whether the value becomes its first
// argument. A value that cannot be called raises an error.
func callable(L *lua.LState, v lua.LValue) (fn *lua.LFunction, with bool) {
	if fn, ok := v.(*lua.LFunction); ok {
		return fn, false
	}
	if fn, ok := L.GetMetaField(v, "__call").(*lua.LFunction); ok {
		return fn, true
	}
	L.RaiseError("attempt to call a non-function object")
	return nil, false
}

// enter makes a call of the value at a place of the registry, whose arguments follow.
func (m *Machine) enter(L *lua.LState, t *thread, fn *lua.LFunction, at, nargs, nret, results int, with bool) *frame {
	if with {
		nargs++
		t.reg.insert(L, t.reg.array[at], at+1)
	}
	calls := t.calls()
	depth := calls.depth()
	cf := calls.push()
	*cf = frame{
		Idx: depth, Fn: fn, Parent: t.currentFrame,
		Base: at, LocalBase: at + 1, ReturnBase: results, NArgs: nargs, NRet: nret,
	}
	t.prepare(L, cf)
	t.currentFrame = cf
	return cf
}

// prepare sets up the registers of a call.
func (t *thread) prepare(L *lua.LState, cf *frame) {
	rg := t.reg
	if cf.Fn.IsG {
		rg.setTop(L, cf.LocalBase+cf.NArgs)
		return
	}
	p := cf.Fn.Proto
	nargs, parameters := cf.NArgs, int(p.NumParameters)
	if nargs < parameters {
		size := cf.LocalBase + parameters
		rg.reserve(L, size)
		for i := nargs; i < parameters; i++ {
			rg.array[cf.LocalBase+i] = lua.LNil
		}
		nargs = parameters
		rg.top = size
	}
	if p.IsVarArg&lua.VarArgIsVarArg != 0 {
		t.prepareVarArg(L, cf, nargs)
		return
	}
	used := int(p.NumUsedRegisters)
	nargs = max(nargs, used)
	rg.reserve(L, cf.LocalBase+nargs)
	rest := rg.array[cf.LocalBase+parameters : cf.LocalBase+nargs]
	for i := range rest {
		rest[i] = lua.LNil
	}
	rg.top = cf.LocalBase + used
}

// prepareVarArg moves the parameters behind the further arguments: the registers begin there.
func (t *thread) prepareVarArg(L *lua.LState, cf *frame, nargs int) {
	rg, p := t.reg, cf.Fn.Proto
	parameters := int(p.NumParameters)
	further := max(nargs-parameters, 0)
	rg.setTop(L, cf.LocalBase+nargs+parameters)
	for i := range parameters {
		rg.array[cf.LocalBase+nargs+i] = rg.array[cf.LocalBase+i]
		rg.array[cf.LocalBase+i] = lua.LNil
	}
	if lua.CompatVarArg {
		rg.setTop(L, cf.LocalBase+nargs+parameters+1)
		arg := lua.LNil
		if p.IsVarArg&lua.VarArgNeedsArg != 0 {
			list := L.CreateTable(further, 0)
			for i := range further {
				list.RawSetInt(i+1, rg.array[cf.LocalBase+parameters+i])
			}
			list.RawSetString("n", lua.LNumber(further))
			arg = list
		}
		rg.array[cf.LocalBase+nargs+parameters] = arg
	}
	cf.LocalBase += nargs
	rg.setTop(L, cf.LocalBase+int(p.NumUsedRegisters))
}

// callHost calls the function of the host that the innermost call is of. It reports whether the thread has
// gone over to the one that has resumed it.
func (m *Machine) callHost(L *lua.LState, t *thread, tail bool) bool {
	cf, calls := t.currentFrame, t.calls()
	n := cf.Fn.GFunction(L)
	if tail {
		L.RemoveCallerFrame()
		t.currentFrame = calls.last()
	}
	if n < 0 {
		t.leave(L, L.GetTop(), false)
		return true
	}
	wanted := cf.NRet
	if wanted == lua.MultRet {
		wanted = n
	}
	if tail && t.Parent != nil && calls.depth() == 1 {
		t.leave(L, wanted, true)
		return true
	}
	rg := t.reg
	rg.move(L, cf.ReturnBase, rg.top-n, rg.top, wanted)
	calls.pop()
	t.currentFrame = calls.last()
	m.notice()
	return false
}

// leave goes over to the thread that has resumed one, with values from the top of its stack.
func (t *thread) leave(L *lua.LState, values int, ended bool) {
	parent := t.Parent
	if parent == nil {
		L.RaiseError("can not yield from outside of a coroutine")
		return
	}
	t.G.CurrentThread = parent
	t.Parent = nil
	if !t.wrapped {
		parent.Push(lua.LTrue)
	}
	L.XMoveTo(parent, values)
	calls := t.calls()
	calls.pop()
	offset := t.currentFrame.LocalBase - t.currentFrame.ReturnBase
	t.currentFrame = calls.last()
	t.reg.setTop(L, t.reg.top-offset)
	if ended {
		t.Dead = true
		if t.ctxCancelFn != nil {
			t.ctxCancelFn()
		}
	}
}

// tailCall puts a call in the place of the one that it is made in. It reports whether the loop ends.
func (m *Machine) tailCall(L *lua.LState, t *thread, base *frame, at, nargs int) (ends bool) {
	cf, rg := t.currentFrame, t.reg
	fn, with := callable(L, rg.array[at])
	t.closeUpvalues(cf.LocalBase)
	if fn.IsG {
		m.enter(L, t, fn, at, nargs, cf.NRet, cf.ReturnBase, with)
		return m.callHost(L, t, true) || t.currentFrame == nil || t.currentFrame.Fn.IsG || cf == base
	}
	first := cf.Base
	cf.Fn, cf.Pc, cf.Base, cf.LocalBase, cf.NArgs = fn, 0, at, at+1, nargs
	cf.TailCall++
	begin := cf.LocalBase
	if with {
		cf.NArgs++
		rg.insert(L, rg.array[at], cf.LocalBase)
	}
	t.prepare(L, cf)
	rg.move(L, first, at, rg.top, rg.top-at-1)
	cf.Base = first
	cf.LocalBase = first + (cf.LocalBase - begin + 1)
	return false
}

// ret ends the innermost call, whose results are at a place; b is how many, and one more, or 0 for all up to the top.
// It reports whether the loop ends.
func (m *Machine) ret(L *lua.LState, t *thread, base *frame, at, b int) (ends bool) {
	cf, rg, calls := t.currentFrame, t.reg, t.calls()
	if t.uvcache != nil {
		t.closeUpvalues(cf.LocalBase)
	}
	n := cf.NRet
	if n == lua.MultRet {
		n = b - 1
		if b == 0 {
			n = rg.top - at
		}
	}
	if t.Parent != nil && calls.depth() == 1 {
		rg.give(L, rg.top, at, n, b)
		t.leave(L, n, true)
		return true
	}
	ends = base == calls.pop() || calls.empty()
	rg.give(L, cf.ReturnBase, at, n, b)
	t.currentFrame = calls.last()
	return ends || t.currentFrame == nil || t.currentFrame.Fn.IsG
}

// give moves the results of a call, of which n are wanted.
func (rg *registry) give(L *lua.LState, to, from, n, b int) {
	if b == 1 {
		rg.fill(L, to, n)
		return
	}
	rg.move(L, to, from, rg.top, n)
	if b > 1 && n > b-1 {
		rg.fill(L, to+b-1, n-(b-1))
	}
}

// call calls what has been pushed, with its arguments, for one result.
func call(L *lua.LState, t *thread, nargs int) lua.LValue {
	L.Call(nargs, 1)
	return t.reg.pop()
}
