package interp

import (
	lua "github.com/yuin/gopher-lua"
)

// The top of a registry is kept where gopher-lua would have it after each instruction: code that takes
// all values that a call has given relies on it, and what is pushed goes there.

// window is the registers of a call. Code reads them above the top, too: gopher-lua's compiler makes such.
func (rg *registry) window(cf *frame) []lua.LValue { return rg.array[cf.LocalBase:] }

// reserve makes room for so many values in all.
func (rg *registry) reserve(L *lua.LState, size int) {
	if size > cap(rg.array) {
		rg.grow(L, size)
	}
}

func (rg *registry) grow(L *lua.LState, size int) {
	wanted := min(size+rg.growBy, rg.maxSize)
	if wanted < size {
		L.RaiseError("registry overflow")
		return
	}
	array := make([]lua.LValue, wanted)
	copy(array, rg.array[:rg.top])
	rg.array = array
}

// set sets any value, which then is in use.
func (rg *registry) set(L *lua.LState, i int, v lua.LValue) {
	rg.reserve(L, i+1)
	rg.array[i] = v
	if i >= rg.top {
		rg.top = i + 1
	}
}

func (rg *registry) push(L *lua.LState, v lua.LValue) {
	rg.reserve(L, rg.top+1)
	rg.array[rg.top] = v
	rg.top++
}

func (rg *registry) pop() lua.LValue {
	rg.top--
	v := rg.array[rg.top]
	rg.array[rg.top] = lua.LNil
	return v
}

// cut sets the top to what has been written up to, and forgets what was above.
func (rg *registry) cut(top int) {
	old := rg.top
	rg.top = top
	if top < old {
		clear(rg.array[top:old])
	}
}

func (rg *registry) setTop(L *lua.LState, top int) {
	rg.reserve(L, top)
	for i := rg.top; i < top; i++ {
		rg.array[i] = lua.LNil
	}
	rg.cut(top)
}

// move moves n values to a place, which becomes the end. Those from limit on are nil.
func (rg *registry) move(L *lua.LState, to, from, limit, n int) {
	rg.reserve(L, to+n)
	for i := range n {
		if at := from + i; at >= limit || at < 0 {
			rg.array[to+i] = lua.LNil
		} else {
			rg.array[to+i] = rg.array[at]
		}
	}
	rg.cut(to + n)
}

// fill sets n values to nil, the last of which becomes the end.
func (rg *registry) fill(L *lua.LState, from, n int) {
	rg.reserve(L, from+n)
	for i := range n {
		rg.array[from+i] = lua.LNil
	}
	rg.cut(from + n)
}

// insert puts a value before others.
func (rg *registry) insert(L *lua.LState, v lua.LValue, at int) {
	for i := rg.top - 1; i >= at; i-- {
		rg.set(L, i+1, rg.array[i])
	}
	rg.set(L, at, v)
}
