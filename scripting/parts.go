package scripting

import (
	"reflect"
	"unsafe"

	lua "github.com/yuin/gopher-lua"
)

// parts finds the parts of the interpreter's structures, which it does not export.
var parts = newParts()

type structureParts struct {
	array, strings, others fieldOf // of a table
	reg, open, handles     fieldOf // of a thread: its registry, the open upvalues, whether a function handles errors
	values, used, grows    fieldOf // of a registry: the stack, how far it is used, and by how much it grows
	boxes, regBoxes        fieldOf // of a thread and of its registry: what numbers are kept in
	after, place           fieldOf // of an upvalue: the next open one, and where on the stack it is
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
	p.strings = find(table, "strdict", isKind(reflect.Map))
	p.others = find(table, "dict", isKind(reflect.Map))
	p.open = find(thread, "uvcache", is(reflect.TypeFor[*lua.Upvalue]()))
	p.handles = find(thread, "hasErrorFunc", isKind(reflect.Bool))
	p.after = find(upvalue, "next", is(reflect.TypeFor[*lua.Upvalue]()))
	p.place = find(upvalue, "index", isKind(reflect.Int))
	p.reg = find(thread, "reg", func(t reflect.Type) bool { return t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct })
	if p.known {
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

// table returns for how many values the array of a table has room, and how many its
// hash part has.
func (p *structureParts) table(t *lua.LTable) (array, entries int) {
	if !p.known {
		return 0, 0
	}
	base := unsafe.Pointer(t)
	array = cap(*(*[]lua.LValue)(p.array.in(base)))
	entries = reflect.NewAt(p.strings.typ, p.strings.in(base)).Elem().Len() +
		reflect.NewAt(p.others.typ, p.others.in(base)).Elem().Len()
	return array, entries
}

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
