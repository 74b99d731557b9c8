package scripting

import (
	"bytes"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// chunk is the data that on_data is given: a view of the buffer that it was
// received into, which the script may read until its handler returns. There is
// one for each direction of a connection, used again for each chunk.
type chunk struct {
	object *lua.LUserData
	data   []byte
	valid  bool
}

// bytes returns the data, which must not be changed.
func (c *chunk) bytes(L *lua.LState) []byte {
	if !c.valid {
		L.RaiseError("a chunk is valid in its on_data only: keep tostring(chunk) instead")
	}
	return c.data
}

func argChunk(L *lua.LState) []byte { return argObject[*chunk](L, 1, "chunk").bytes(L) }

var chunkMethods = append([]binding{
	{"len", chunkLen, "() -> integer", "The number of bytes."},
	{"sub", chunkSub, "(first: integer, last?: integer) -> string", "A part, counted as in `string.sub`."},
	{"byte", chunkByte, "(first?: integer, last?: integer) -> ...: integer", "Up to 200 bytes as numbers, as `string.byte`."},
	{
		"find", chunkFind, "(text: bytes, from?: integer) -> first: integer?, last: integer?",
		"The first and last position of a text, not a pattern; `nil` if there is none.",
	},
	{
		"read", chunkRead, "(offset: integer, n: integer) -> string?",
		"Up to `n` bytes behind so many; at or behind the end `nil`. As that of a `spooled`, for a handler that may be given either.",
	},
	{"starts_with", chunkStartsWith, "(text: bytes) -> boolean", "Whether the chunk begins with a text."},
}, intBindings("(at: integer) -> integer?")...)

var chunkMeta = []binding{
	{"__len", chunkLen, "() -> integer", "The number of bytes."},
	{"__tostring", chunkToString, "() -> string", "All of it."},
	{"__concat", chunkConcat, "(other: bytes|number) -> string", "Either side may be the chunk."},
}

func chunkLen(_ *state, L *lua.LState) int { return give(L, lua.LNumber(len(argChunk(L)))) }

func chunkToString(s *state, L *lua.LState) int {
	data := argChunk(L)
	s.meter.chargeBytes(len(data))
	return give(L, lua.LString(data))
}

// chunkConcat lets a chunk stand beside "..".
func chunkConcat(s *state, L *lua.LState) int {
	var b strings.Builder
	for n := 1; n <= 2; n++ {
		if v, ok := L.Get(n).(lua.LNumber); ok {
			b.WriteString(plainText(v))
			continue
		}
		b.Write(argBytes(L, n))
	}
	s.meter.chargeBytes(b.Len())
	return give(L, lua.LString(b.String()))
}

// chunkSub is string.sub.
func chunkSub(s *state, L *lua.LState) int {
	data := argChunk(L)
	from, to := span(len(data), argInteger(L, 2, -maxExact, maxExact), optInteger(L, 3, -maxExact, maxExact, -1))
	s.meter.chargeBytes(to - from)
	return give(L, lua.LString(data[from:to]))
}

func chunkRead(s *state, L *lua.LState) int {
	data := argChunk(L)
	offset, n := argInteger(L, 2, 0, maxExact), argInteger(L, 3, 0, maxExact)
	switch rest := int64(len(data)) - offset; {
	case n == 0:
		return give(L, lua.LString(""))
	case rest <= 0:
		return give(L, lua.LNil)
	default:
		part := data[offset : offset+min(n, rest)]
		s.meter.chargeBytes(len(part))
		return give(L, lua.LString(part))
	}
}

// span turns the first and last position of a part, as Lua counts them, into a
// range of so many bytes.
func span(n int, first, last int64) (from, to int) {
	size := int64(n)
	if first < 0 {
		first = max(size+first+1, 1)
	}
	if last < 0 {
		last = size + last + 1
	}
	first, last = max(first, 1), min(last, size)
	if first > last {
		return 0, 0
	}
	return int(first - 1), int(last)
}

// maxBytesAtOnce bounds the results of chunk:byte.
const maxBytesAtOnce = 200

// chunkByte is string.byte.
func chunkByte(_ *state, L *lua.LState) int {
	data := argChunk(L)
	first := optInteger(L, 2, -maxExact, maxExact, 1)
	from, to := span(len(data), first, optInteger(L, 3, -maxExact, maxExact, first))
	if to-from > maxBytesAtOnce {
		L.RaiseError("chunk:byte returns at most %d bytes at once", maxBytesAtOnce)
	}
	for _, b := range data[from:to] {
		L.Push(lua.LNumber(b))
	}
	return to - from
}

// chunkFind finds a string, not a pattern: its first and last position, or nil.
func chunkFind(s *state, L *lua.LState) int {
	data, what := argChunk(L), argBytes(L, 2)
	from := argStart(L, len(data))
	s.meter.chargeBytes(len(data) - from)
	at := bytes.Index(data[from:], what)
	if at < 0 {
		return give(L, lua.LNil)
	}
	L.Push(lua.LNumber(from + at + 1))
	L.Push(lua.LNumber(from + at + len(what)))
	return 2
}

func chunkStartsWith(_ *state, L *lua.LState) int {
	return give(L, lua.LBool(bytes.HasPrefix(argChunk(L), argBytes(L, 2))))
}
