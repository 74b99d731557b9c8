package interp

import (
	"unsafe"

	lua "github.com/yuin/gopher-lua"
)

// closeUpvalues closes the open upvalues from a place of the registry on. They are in its order.
func (t *thread) closeUpvalues(from int) {
	last := &t.uvcache
	for *last != nil && (*last).index < from {
		last = &(*last).next
	}
	for uv := *last; uv != nil; {
		*last = nil
		(*lua.Upvalue)(unsafe.Pointer(uv)).Close()
		last, uv = &uv.next, uv.next
	}
}

// upvalueAt returns the open upvalue of a place of the registry, a new one if there is none.
func (t *thread) upvalueAt(index int) *lua.Upvalue {
	last := &t.uvcache
	for *last != nil && (*last).index < index {
		last = &(*last).next
	}
	if uv := *last; uv != nil && uv.index == index {
		return (*lua.Upvalue)(unsafe.Pointer(uv))
	}
	made := new(lua.Upvalue)
	uv := (*upvalue)(unsafe.Pointer(made))
	uv.reg, uv.index, uv.next = t.reg, index, *last
	*last = uv
	return made
}

// closure makes the function of the prototype that an instruction names. It returns the instruction after those that
// name its upvalues.
func (t *thread) closure(cf *frame, p *lua.FunctionProto, pc int) (*lua.LFunction, int) {
	fn := &lua.LFunction{Env: cf.Fn.Env, Proto: p, Upvalues: make([]*lua.Upvalue, p.NumUpvalues)}
	for i := range fn.Upvalues {
		inst := cf.Fn.Proto.Code[pc]
		pc++
		switch b := int(inst & maskB); int(inst >> shiftOpcode) {
		case lua.OP_MOVE:
			fn.Upvalues[i] = t.upvalueAt(cf.LocalBase + b)
		case lua.OP_GETUPVAL:
			fn.Upvalues[i] = cf.Fn.Upvalues[b]
		}
	}
	return fn, pc
}
