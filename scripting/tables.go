package scripting

import (
	"slices"
	"unsafe"

	lua "github.com/yuin/gopher-lua"
)

// The interpreter keeps the order of a table's keys in a list, and a key that is removed
// stays there: a table of a client's things, each set and removed, grows without end, and
// next goes past all that there ever were. So the function next is one of our own, which
// counts what it goes past; and the census, which counts those keys too, has tables made
// anew that hold more of them than of others.

// tableParts are the parts of a table.
type tableParts struct {
	array   *[]lua.LValue
	strings *map[string]lua.LValue
	others  *map[lua.LValue]lua.LValue
	keys    *[]lua.LValue
	places  *map[lua.LValue]int
}

func (p *structureParts) table(t *lua.LTable) tableParts {
	base := unsafe.Pointer(t)
	return tableParts{
		array:   (*[]lua.LValue)(p.array.in(base)),
		strings: (*map[string]lua.LValue)(p.strings.in(base)),
		others:  (*map[lua.LValue]lua.LValue)(p.others.in(base)),
		keys:    (*[]lua.LValue)(p.keys.in(base)),
		places:  (*map[lua.LValue]int)(p.places.in(base)),
	}
}

// removed returns how many keys are kept that were removed.
func (t tableParts) removed() int { return len(*t.keys) - len(*t.strings) - len(*t.others) }

// get returns the value of a key that is not one of the array; nil if it was removed.
func (t tableParts) get(key lua.LValue) lua.LValue {
	if text, ok := key.(lua.LString); ok {
		return (*t.strings)[string(text)]
	}
	return (*t.others)[key]
}

// next returns the key after another, nil being the one before the first, with its value,
// and how many were gone past that hold nothing. A nil key is the end. It is not known if
// the table has no such key and, as far as can be told, had none.
func (t tableParts) next(key lua.LValue) (next, value lua.LValue, skipped int, known bool) {
	index, place := t.after(key)
	if index < 0 && place < 0 {
		return lua.LNil, lua.LNil, 0, false
	}
	if index >= 0 {
		for i := index; i < len(*t.array); i++ {
			if v := (*t.array)[i]; v != nil && v != lua.LNil {
				return lua.LNumber(i + 1), v, i - index, true
			}
		}
		skipped = max(len(*t.array)-index, 0)
	}
	place = max(place, 0)
	for i := place; i < len(*t.keys); i++ {
		key := (*t.keys)[i]
		if v := t.get(key); v != nil {
			return key, v, skipped + i - place, true
		}
	}
	return lua.LNil, lua.LNil, skipped + len(*t.keys) - place, true
}

// after returns where to go on behind a key: in the array, or else in the list of keys;
// -1 for the other, and for both if the key is not known.
func (t tableParts) after(key lua.LValue) (index, place int) {
	if key == lua.LNil {
		return 0, -1
	}
	if n, ok := key.(lua.LNumber); ok && n >= 1 && n < maxArray && n == lua.LNumber(int(n)) {
		return int(n), -1
	}
	if i, ok := (*t.places)[key]; ok {
		return -1, i + 1
	}
	return -1, -1
}

// compact makes a table anew without the keys that were removed.
func (t tableParts) compact() {
	keys := make([]lua.LValue, 0, len(*t.strings)+len(*t.others))
	for text := range *t.strings {
		keys = append(keys, lua.LString(text))
	}
	for key := range *t.others {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b lua.LValue) int { return (*t.places)[a] - (*t.places)[b] })
	values, others, places := make(map[string]lua.LValue), make(map[lua.LValue]lua.LValue), make(map[lua.LValue]int, len(keys))
	for i, key := range keys {
		places[key] = i
		if text, ok := key.(lua.LString); ok {
			values[string(text)] = (*t.strings)[string(text)]
		} else {
			others[key] = (*t.others)[key]
		}
	}
	*t.strings, *t.others, *t.keys, *t.places = values, others, keys, places
}

// traversals are the functions that go through tables.
var traversals = []binding{
	{name: "next", call: func(s *state, L *lua.LState) int {
		t := s.contentOf(L.CheckTable(1))
		key, value, skipped, known := parts.table(t).next(L.Get(2))
		if !known {
			L.RaiseError("invalid key to 'next': the table has no such key")
		}
		if skipped > 0 {
			s.meter.charge(skipped)
		}
		if key == lua.LNil {
			return give(L, lua.LNil)
		}
		L.Push(key)
		L.Push(value)
		return 2
	}},
	{name: "pairs", call: func(s *state, L *lua.LState) int {
		t := L.CheckTable(1)
		L.Push(s.next)
		L.Push(t)
		L.Push(lua.LNil)
		return 3
	}},
}

// openTraversals puts them in the place of the interpreter's.
func (s *state) openTraversals(globals *lua.LTable) {
	if !parts.known {
		return
	}
	s.install(globals, traversals...)
	s.next, _ = globals.RawGetString("next").(*lua.LFunction)
}
