package interp

import (
	"context"
	"reflect"
	"unsafe"

	lua "github.com/yuin/gopher-lua"
)

// These are gopher-lua's own structures, field by field, with the names that they have there. A pointer to the
// one is read as a pointer to the other, once matches has found them the same.

// thread is lua.LState.
type thread struct {
	G       *lua.Global
	Parent  *lua.LState
	Env     *lua.LTable
	Panic   func(*lua.LState)
	Dead    bool
	Options lua.Options

	stop         int32
	reg          *registry
	stack        face // a callStack
	alloc        *allocator
	currentFrame *frame
	wrapped      bool
	uvcache      *upvalue
	hasErrorFunc bool
	mainLoop     func(*lua.LState, *frame)
	ctx          context.Context //nolint:containedctx // it is gopher-lua's
	ctxCancelFn  context.CancelFunc
}

// face is any interface that has methods.
type face struct{ table, data unsafe.Pointer }

// frame is a call.
type frame struct {
	Idx        int
	Fn         *lua.LFunction
	Parent     *frame
	Pc         int
	Base       int
	LocalBase  int
	ReturnBase int
	NArgs      int
	NRet       int
	TailCall   int
}

// callStack is the calls of a thread, if they take as much memory as they need.
type callStack struct {
	segments []*segment
	segIdx   uint16
	segSp    uint8
}

type segment struct{ array [lua.FramesPerSegment]frame }

// registry is the values of a thread: the registers of its calls.
type registry struct {
	array   []lua.LValue
	top     int
	growBy  int
	maxSize int
	alloc   *allocator
	handler face //nolint:unused // it is gopher-lua's
}

// allocator is what numbers are kept in.
type allocator struct {
	size    int
	fptrs   []float64
	fheader unsafe.Pointer //nolint:unused // it is gopher-lua's

	scratchValue  lua.LValue     //nolint:unused // it is gopher-lua's
	scratchValueP unsafe.Pointer //nolint:unused // it is gopher-lua's
}

// upvalue is lua.Upvalue.
type upvalue struct {
	next   *upvalue
	reg    *registry
	index  int
	value  lua.LValue
	closed bool
}

// table is lua.LTable.
type table struct {
	Metatable lua.LValue

	array   []lua.LValue
	dict    map[lua.LValue]lua.LValue
	strdict map[string]lua.LValue
	keys    []lua.LValue
	k2i     map[lua.LValue]int
}

// prototype is lua.FunctionProto.
type prototype struct {
	SourceName         string
	LineDefined        int
	LastLineDefined    int
	NumUpvalues        uint8
	NumParameters      uint8
	IsVarArg           uint8
	NumUsedRegisters   uint8
	Code               []uint32
	Constants          []lua.LValue
	FunctionPrototypes []*lua.FunctionProto

	DbgSourcePositions []int
	DbgLocals          []*lua.DbgLocalInfo
	DbgCalls           []lua.DbgCall
	DbgUpvalues        []string

	stringConstants []string
}

func threadOf(L *lua.LState) *thread              { return (*thread)(unsafe.Pointer(L)) }
func tableOf(t *lua.LTable) *table                { return (*table)(unsafe.Pointer(t)) }
func prototypeOf(p *lua.FunctionProto) *prototype { return (*prototype)(unsafe.Pointer(p)) }
func (t *thread) calls() *callStack               { return (*callStack)(t.stack.data) }

// layout is what has been found out about the gopher-lua that this program has.
var layout = examine()

type examined struct {
	stack   unsafe.Pointer // the table of methods of a stack of calls that grows
	number  unsafe.Pointer // that of a number
	differs string         // what is not as it is written here; empty: nothing
}

// Differs says in what this program's gopher-lua is not the one that the loop is written for; empty: in
// nothing.
func Differs() string { return layout.differs }

// examine compares the structures, and takes the tables of methods from a thread and a number.
func examine() (e examined) {
	L := lua.NewState(lua.Options{SkipOpenLibs: true, MinimizeStackMemory: true, CallStackSize: 1, RegistrySize: 128})
	stack := reflect.ValueOf(L).Elem().FieldByName("stack")
	pairs := []struct{ ours, theirs reflect.Type }{
		{reflect.TypeFor[thread](), reflect.TypeFor[lua.LState]()},
		{reflect.TypeFor[upvalue](), reflect.TypeFor[lua.Upvalue]()},
		{reflect.TypeFor[table](), reflect.TypeFor[lua.LTable]()},
		{reflect.TypeFor[prototype](), reflect.TypeFor[lua.FunctionProto]()},
		{reflect.TypeFor[face](), reflect.TypeFor[lua.LValue]()},
	}
	if stack.Kind() == reflect.Interface {
		pairs = append(pairs, struct{ ours, theirs reflect.Type }{reflect.TypeFor[*callStack](), stack.Elem().Type()})
	} else {
		e.differs = "lua.LState has no stack that is an interface"
	}
	for _, p := range pairs {
		if at := difference(p.ours, p.theirs, p.theirs.String(), make(map[reflect.Type]bool)); at != "" {
			e.differs = at
		}
	}
	if e.differs != "" {
		return e
	}
	e.stack = threadOf(L).stack.table
	var number lua.LValue = lua.LNumber(0)
	e.number = (*face)(unsafe.Pointer(&number)).table
	return e
}

// difference returns where a type is laid out otherwise than another; empty: nowhere.
func difference(ours, theirs reflect.Type, at string, seen map[reflect.Type]bool) string {
	switch {
	case ours == theirs || seen[ours]:
		return ""
	case ours == reflect.TypeFor[face]() && theirs.Kind() == reflect.Interface && theirs.NumMethod() > 0,
		ours.Kind() == reflect.UnsafePointer && theirs.Kind() == reflect.Pointer:
		return ""
	case ours.Kind() != theirs.Kind() || ours.Size() != theirs.Size():
		return at + ": a " + theirs.String()
	}
	seen[ours] = true
	switch ours.Kind() {
	case reflect.Struct:
		return fieldDifference(ours, theirs, at, seen)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return difference(ours.Elem(), theirs.Elem(), at, seen)
	case reflect.Func:
		if ours.NumIn() != theirs.NumIn() || ours.NumOut() != theirs.NumOut() || ours.IsVariadic() != theirs.IsVariadic() {
			return at + ": a " + theirs.String()
		}
		for i := range ours.NumIn() {
			if d := difference(ours.In(i), theirs.In(i), at, seen); d != "" {
				return d
			}
		}
		for i := range ours.NumOut() {
			if d := difference(ours.Out(i), theirs.Out(i), at, seen); d != "" {
				return d
			}
		}
		return ""
	case reflect.Map, reflect.Interface, reflect.Chan:
		return at + ": a " + theirs.String()
	default:
		return "" // of the same kind and size
	}
}

func fieldDifference(ours, theirs reflect.Type, at string, seen map[reflect.Type]bool) string {
	if ours.NumField() != theirs.NumField() {
		return at + ": has other fields"
	}
	for i := range ours.NumField() {
		o, t := ours.Field(i), theirs.Field(i)
		if o.Name != t.Name || o.Offset != t.Offset {
			return at + "." + t.Name + ": is not where it was"
		}
		if d := difference(o.Type, t.Type, at+"."+t.Name, seen); d != "" {
			return d
		}
	}
	return ""
}
