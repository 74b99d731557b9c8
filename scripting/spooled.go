package scripting

import (
	"errors"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
	"fwx/framework/completion"
)

// spooled is the body of a request on the disk, which on_request_body is given instead
// of a chunk.
type spooled struct {
	object *lua.LUserData
	body   *framework.Spool // nil: its handler has returned
}

func argSpooled(L *lua.LState) *framework.Spool {
	s := argObject[*spooled](L, 1, "spooled body")
	if s.body == nil {
		L.RaiseError("a spooled body can be read in its on_request_body only")
	}
	return s.body
}

var spooledMethods = []binding{
	{"len", spooledLen, "() -> integer", "The number of bytes."},
	{
		"read", spooledRead, "(offset: integer, n: integer) -> string? or fail",
		"Waits. As `file:read`: up to `n` bytes, at most 64 MiB. At or behind the end a single `nil`.",
	},
}

var spooledMeta = []binding{{"__len", spooledLen, "() -> integer", "The number of bytes."}}

func spooledLen(_ *state, L *lua.LState) int { return give(L, lua.LNumber(argSpooled(L).Size())) }

func spooledRead(s *state, L *lua.LState) int {
	body := argSpooled(L)
	offset, n := argInteger(L, 2, 0, maxExact), argInteger(L, 3, 0, maxStringSize)
	if n == 0 {
		return give(L, lua.LString(""))
	}
	data, err := s.readAt(L, body, offset, make([]byte, min(n, max(1, body.Size()-offset))))
	switch {
	case errors.Is(err, completion.ErrHandleEOF):
		return give(L, lua.LNil)
	case err != nil:
		return giveError(L, explain("read", "the spooled body", err))
	}
	return s.giveBytes(L, data)
}
