package interp

import (
	lua "github.com/yuin/gopher-lua"
)

const (
	// hashedPerInstruction is how many bytes of a key are hashed in the time of an instruction.
	hashedPerInstruction = 256
	// skippedPerInstruction is how many elements are looked at to find the length of a table.
	skippedPerInstruction = 64
	// mostTables is how many tables are asked one after the other for a field.
	mostTables = 100
	// arrayKeys is from where whole numbers are keys as others are.
	arrayKeys = 67108864
)

func isNil(v lua.LValue) bool {
	_, is := v.(*lua.LNilType)
	return is
}

// truthy reports whether a value counts as true.
func truthy(v lua.LValue) bool {
	switch v := v.(type) {
	case *lua.LNilType:
		return false
	case lua.LBool:
		return bool(v)
	}
	return true
}

// field is obj[key] for a string. Tables whose metatables name tables are asked here, all else by gopher-lua.
func field(L *lua.LState, obj lua.LValue, key string) lua.LValue {
	if t, ok := obj.(*lua.LTable); ok {
		for range mostTables {
			if v, ok := tableOf(t).strdict[key]; ok && !isNil(v) {
				return v
			}
			meta, ok := t.Metatable.(*lua.LTable)
			if !ok {
				return lua.LNil
			}
			next, ok := tableOf(meta).strdict["__index"]
			if !ok {
				return lua.LNil
			}
			if t, ok = next.(*lua.LTable); !ok {
				break
			}
		}
	}
	return L.GetField(obj, key)
}

// element is the value of a table for a number, if it is in its array.
func (t *table) element(n lua.LNumber) (lua.LValue, bool) {
	if i := int(n); uint(i)-1 < uint(len(t.array)) && lua.LNumber(i) == n && i < arrayKeys {
		v := t.array[i-1]
		return v, !isNil(v)
	}
	return nil, false
}

// index is obj[key] for any key.
func (m *Machine) index(L *lua.LState, obj, key lua.LValue) lua.LValue {
	switch key := key.(type) {
	case lua.LString:
		m.charge(len(key) / hashedPerInstruction)
		return field(L, obj, string(key))
	case lua.LNumber:
		if t, ok := obj.(*lua.LTable); ok {
			if v, ok := tableOf(t).element(key); ok {
				return v
			}
			if isNil(t.Metatable) {
				return t.RawGet(key)
			}
		}
	}
	return L.GetTable(obj, key)
}

// setField is obj[key] = v for a string.
func setField(L *lua.LState, obj lua.LValue, key string, v lua.LValue) {
	t, ok := obj.(*lua.LTable)
	if !ok {
		L.SetField(obj, key, v)
		return
	}
	fields := tableOf(t).strdict
	switch old, ok := fields[key]; {
	case ok && !isNil(old) && !isNil(v):
		fields[key] = v
	case ok && !isNil(old) || isNil(t.Metatable):
		t.RawSetString(key, v)
	default:
		L.SetField(obj, key, v)
	}
}

// setIndex is obj[key] = v for any key.
func (m *Machine) setIndex(L *lua.LState, obj, key, v lua.LValue) {
	switch key := key.(type) {
	case lua.LString:
		m.charge(len(key) / hashedPerInstruction)
		setField(L, obj, string(key), v)
		return
	case lua.LNumber:
		if t, ok := obj.(*lua.LTable); ok {
			if _, ok := tableOf(t).element(key); ok {
				tableOf(t).array[int(key)-1] = v
				return
			}
			if i := int(key); isNil(t.Metatable) && i > 0 && i < arrayKeys && lua.LNumber(i) == key {
				t.RawSetInt(i, v)
				return
			}
		}
	}
	L.SetTable(obj, key, v)
}

// length is #v of what is not a string.
func (m *Machine) length(L *lua.LState, t *thread, v lua.LValue) lua.LValue {
	list, ok := v.(*lua.LTable)
	if !ok || !isNil(list.Metatable) {
		if fn, ok := L.GetMetaField(v, "__len").(*lua.LFunction); ok {
			t.reg.push(L, fn)
			t.reg.push(L, v)
			result := call(L, t, 1)
			if n, ok := result.(lua.LNumber); ok {
				return t.reg.alloc.number(float64(n))
			}
			return result
		}
	}
	if !ok {
		L.RaiseError("__len undefined")
		return lua.LNil
	}
	array := tableOf(list).array
	n := len(array)
	for n > 0 && isNil(array[n-1]) {
		n--
	}
	m.charge((len(array) - n) / skippedPerInstruction)
	return t.reg.alloc.number(float64(n))
}

// setList sets elements of a table to the values that follow it in the registry.
func (t *thread) setList(at, n, offset int) {
	list := t.reg.array[at].(*lua.LTable) // made by an instruction before
	for i := 1; i <= n; i++ {
		list.RawSetInt(offset+i, t.reg.array[at+i])
	}
}
