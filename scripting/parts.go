package scripting

import (
	"reflect"
	"unsafe"

	lua "github.com/yuin/gopher-lua"
)

// parts finds the parts of the interpreter's structures, which it does not export.
var parts = newParts()

type structureParts struct {
	array, strings, others fieldOf // of a table: its values by index, those by strings, those by other keys
	keys, places           fieldOf // of a table: the keys in order, those that were removed included, and where each is
	reg, open, handles     fieldOf // of a thread: its registry, the open upvalues, whether a function handles errors
	values, used, grows    fieldOf // of a registry: the stack, how far it is used, and by how much it grows
	boxes, regBoxes        fieldOf // of a thread and of its registry: what numbers are kept in
	after, place           fieldOf // of an upvalue: the next open one, and where on the stack it is
	frame, loop            fieldOf // of a thread: the call that it is in, and the interpreter's loop
	fn, caller, pc, nret   fieldOf // of a call: its function, who has called it, the next instruction, and the results that are wanted
	level                  fieldOf // of a call: how many there are below it
	known                  bool
}

// fieldOf is a field of a structure.
type fieldOf struct {
	offset uintptr
	typ    reflect.Type
}

// newParts looks the parts up by name. In a version of the interpreter that has none
// of the kind they stay unknown: what they hold is not counted, and a caught error is as
// the interpreter has it. TestMemory fails then.
func newParts() (p structureParts) {
	p.known = true
	find := func(structure reflect.Type, name string, fits func(reflect.Type) bool) fieldOf {
		f, ok := structure.FieldByName(name)
		if !ok || !fits(f.Type) {
			p.known = false
			return fieldOf{}
		}
		return fieldOf{f.Offset, f.Type}
	}
	is := func(wanted reflect.Type) func(reflect.Type) bool {
		return func(t reflect.Type) bool { return t == wanted }
	}
	isKind := func(wanted reflect.Kind) func(reflect.Type) bool {
		return func(t reflect.Type) bool { return t.Kind() == wanted }
	}
	table, thread, upvalue := reflect.TypeFor[lua.LTable](), reflect.TypeFor[lua.LState](), reflect.TypeFor[lua.Upvalue]()
	values := is(reflect.TypeFor[[]lua.LValue]())
	p.array = find(table, "array", values)
	p.strings = find(table, "strdict", is(reflect.TypeFor[map[string]lua.LValue]()))
	p.others = find(table, "dict", is(reflect.TypeFor[map[lua.LValue]lua.LValue]()))
	p.keys = find(table, "keys", values)
	p.places = find(table, "k2i", is(reflect.TypeFor[map[lua.LValue]int]()))
	p.open = find(thread, "uvcache", is(reflect.TypeFor[*lua.Upvalue]()))
	p.handles = find(thread, "hasErrorFunc", isKind(reflect.Bool))
	p.after = find(upvalue, "next", is(reflect.TypeFor[*lua.Upvalue]()))
	p.place = find(upvalue, "index", isKind(reflect.Int))
	p.reg = find(thread, "reg", func(t reflect.Type) bool { return t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct })
	p.loop = find(thread, "mainLoop", isKind(reflect.Func))
	p.frame = find(thread, "currentFrame", func(t reflect.Type) bool { return t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct })
	if p.known {
		call := p.frame.typ.Elem()
		p.fn = find(call, "Fn", is(reflect.TypeFor[*lua.LFunction]()))
		p.caller = find(call, "Parent", is(p.frame.typ))
		p.pc = find(call, "Pc", isKind(reflect.Int))
		p.nret = find(call, "NRet", isKind(reflect.Int))
		p.level = find(call, "Idx", isKind(reflect.Int))
		p.values = find(p.reg.typ.Elem(), "array", values)
		p.used = find(p.reg.typ.Elem(), "top", isKind(reflect.Int))
		p.grows = find(p.reg.typ.Elem(), "growBy", isKind(reflect.Int))
		p.boxes = find(thread, "alloc", isKind(reflect.Pointer))
		p.regBoxes = find(p.reg.typ.Elem(), "alloc", is(p.boxes.typ))
	}
	return p
}

// in returns where a field of the structure at base is.
func (f fieldOf) in(base unsafe.Pointer) unsafe.Pointer { return unsafe.Add(base, f.offset) }

// registry returns the registry of a thread.
func (p *structureParts) registry(t *lua.LState) unsafe.Pointer {
	return *(*unsafe.Pointer)(p.reg.in(unsafe.Pointer(t)))
}

// stack returns the values on the stack of a thread, those left over behind its top too.
func (p *structureParts) stack(t *lua.LState) []lua.LValue {
	if !p.known || p.registry(t) == nil {
		return nil
	}
	return *(*[]lua.LValue)(p.values.in(p.registry(t)))
}

// top is how far the stack of a thread is used.
func (p *structureParts) top(t *lua.LState) int { return *(*int)(p.used.in(p.registry(t))) }

// step is by how many values the stack of a thread grows.
func (p *structureParts) step(t *lua.LState) *int { return (*int)(p.grows.in(p.registry(t))) }

// shareBoxes has a thread keep numbers where another of the same state does.
func (p *structureParts) shareBoxes(t, with *lua.LState) {
	if p.known {
		boxes := *(*unsafe.Pointer)(p.boxes.in(unsafe.Pointer(with)))
		*(*unsafe.Pointer)(p.boxes.in(unsafe.Pointer(t))) = boxes
		*(*unsafe.Pointer)(p.regBoxes.in(p.registry(t))) = boxes
	}
}

// handling says whether a function handles the errors of a thread.
func (p *structureParts) handling(t *lua.LState) *bool {
	return (*bool)(p.handles.in(unsafe.Pointer(t)))
}

// upvalues is the first open upvalue of a thread; they are in the order of the stack.
func (p *structureParts) upvalues(t *lua.LState) **lua.Upvalue {
	return (**lua.Upvalue)(p.open.in(unsafe.Pointer(t)))
}

// next is the open upvalue behind another.
func (p *structureParts) next(uv *lua.Upvalue) **lua.Upvalue {
	return (**lua.Upvalue)(p.after.in(unsafe.Pointer(uv)))
}

// index is where on the stack an open upvalue is.
func (p *structureParts) index(uv *lua.Upvalue) int {
	return *(*int)(p.place.in(unsafe.Pointer(uv)))
}

// onlyLua reports whether nothing but functions of Lua, each called by the one before, has
// led to the function of the host that a thread is in. One that a metamethod, an iterator
// or another function of the host has called has a loop of the interpreter of its own; and
// a call in a return has no caller to go back to.
func (p *structureParts) onlyLua(t *lua.LState) bool {
	if !p.known {
		return false
	}
	const opcode = 26 // the bits before it
	call := *(*unsafe.Pointer)(p.frame.in(unsafe.Pointer(t)))
	caller := *(*unsafe.Pointer)(p.caller.in(call))
	if caller == nil {
		return false
	}
	for ; caller != nil; caller = *(*unsafe.Pointer)(p.caller.in(caller)) {
		fn := *(**lua.LFunction)(p.fn.in(caller))
		if fn.IsG || int(fn.Proto.Code[p.instruction(caller)]>>opcode) != lua.OP_CALL {
			return false
		}
	}
	return true
}

// instruction is which instruction of a function a call of it is at.
func (p *structureParts) instruction(call unsafe.Pointer) int { return *(*int)(p.pc.in(call)) - 1 }

// wanted is how many results the call is to give that a thread is in.
func (p *structureParts) wanted(t *lua.LState) int {
	return *(*int)(p.nret.in(*(*unsafe.Pointer)(p.frame.in(unsafe.Pointer(t)))))
}

// depth is how many calls within calls a thread is in.
func (p *structureParts) depth(t *lua.LState) int {
	call := *(*unsafe.Pointer)(p.frame.in(unsafe.Pointer(t)))
	if call == nil {
		return 0
	}
	return *(*int)(p.level.in(call)) + 1
}

// goOn has the interpreter go on where the innermost call of a thread is.
func (p *structureParts) goOn(t *lua.LState) {
	(*(*func(*lua.LState, unsafe.Pointer))(p.loop.in(unsafe.Pointer(t))))(t, nil)
}

// called is the name by which the function of Lua that a thread is in calls another.
func (p *structureParts) called(t *lua.LState) string {
	call := *(*unsafe.Pointer)(p.frame.in(unsafe.Pointer(t)))
	for _, c := range (*(**lua.LFunction)(p.fn.in(call))).Proto.DbgCalls {
		if c.Pc == p.instruction(call) {
			return c.Name
		}
	}
	return ""
}
