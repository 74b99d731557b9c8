package scripting

import (
	"fmt"

	lua "github.com/yuin/gopher-lua"
)

var jsonFunctions = []binding{
	{
		"encode", jsonEncode, "(value: any) -> string or fail",
		"`fwx.json.encode({ id = conn.id })` gives `{\"id\":7}`. `\"error\"`: a value has no form in JSON.",
	},
	{
		"decode", jsonDecode, "(text: bytes) -> any or fail",
		"`fwx.json.decode('{\"a\":[1,null]}')`. `\"error\"`: the text is not JSON.",
	},
	{
		"array", jsonArray, "(list?: table) -> table",
		"Makes a table, a new one if it is missing, an array for `fwx.json.encode`, even without elements: " +
			"`fwx.json.encode({ tags = fwx.json.array() })` gives `{\"tags\":[]}`.",
	},
}

var jsonFields = []binding{{
	"null", func(s *state, L *lua.LState) int { return give(L, s.null) }, "verdict",
	"Null, which a table can hold. It counts as true: compare with `==`.",
}}

// null is fwx.json.null, which a table can hold where nil cannot.
type null struct{}

// maxJSONDepth bounds how deep values may be nested, in either direction.
const maxJSONDepth = 100

func jsonEncode(s *state, L *lua.LState) int {
	e := encoder{state: s}
	if err := e.value(L.CheckAny(1), 0); err != nil {
		s.raiseSpent(L)
		return giveError(L, fmt.Errorf("json.encode: %w", err))
	}
	return s.giveBytes(L, e.out)
}

func jsonDecode(s *state, L *lua.LState) int {
	v, err := decodeJSON(s, argBytes(L, 1))
	if err != nil {
		s.raiseSpent(L)
		return giveError(L, fmt.Errorf("json.decode: %w", err))
	}
	return give(L, v)
}

// jsonArray marks a table as an array, by its metatable.
func jsonArray(s *state, L *lua.LState) int {
	if L.Get(1) == lua.LNil {
		t := L.CreateTable(0, 0)
		t.Metatable = s.array
		return give(L, t)
	}
	t := L.CheckTable(1)
	if t.Metatable != lua.LNil && t.Metatable != s.array {
		L.ArgError(1, "the table has a metatable already")
	}
	t.Metatable = s.array
	return give(L, t)
}
