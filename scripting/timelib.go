package scripting

import (
	"fmt"
	"net/http"
	"time"

	lua "github.com/yuin/gopher-lua"
)

var timeFunctions = []binding{
	{
		"format", timeFormat, `(seconds?: number, form?: "rfc3339"|"http") -> string`,
		"A time in UTC, now if it is missing: `\"2026-03-01T12:00:00Z\"`, with a fraction if there is one down to a millisecond, or as " +
			"headers of HTTP have it, `\"Sun, 01 Mar 2026 12:00:00 GMT\"`.",
	},
	{
		"parse", timeParse, "(text: bytes) -> seconds: number or fail",
		"Seconds since 1970 of either form. `\"EINVAL\"`: it is none.",
	},
}

const (
	formRFC3339 = "rfc3339"
	formHTTP    = "http"
	// maxTime is the end of the year 9999, the last that both forms can name.
	maxTime = 253402300799
)

func timeFormat(s *state, L *lua.LState) int {
	t := s.time()
	if L.Get(1) != lua.LNil {
		seconds := argNumber(L, 1)
		if !(seconds >= 0 && seconds <= maxTime) {
			L.ArgError(1, "seconds since 1970 up to the year 9999 expected")
		}
		t = time.UnixMilli(int64(seconds * milliseconds))
	}
	form := formRFC3339
	if L.Get(2) != lua.LNil {
		form = argString(L, 2)
	}
	switch form {
	case formRFC3339:
		return give(L, lua.LString(t.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano)))
	case formHTTP:
		return give(L, lua.LString(t.UTC().Format(http.TimeFormat)))
	}
	L.ArgError(2, fmt.Sprintf("%q or %q expected, got %q", formRFC3339, formHTTP, form))
	return 0
}

// milliseconds in a second.
const milliseconds = 1e3

func timeParse(_ *state, L *lua.LState) int {
	text := argString(L, 1)
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t, err = http.ParseTime(text)
	}
	if err != nil {
		return giveError(L, invalid("fwx.time.parse: neither RFC 3339 nor a date of HTTP"))
	}
	return give(L, lua.LNumber(float64(t.UnixNano())/nanoseconds))
}

// guardTime makes the functions of the library os take the time from the port.
func (s *state) guardTime(library *lua.LTable) {
	s.install(library, binding{name: "clock", call: clock})
	s.install(library, binding{name: "date", call: osDate})
	if f, ok := library.RawGetString("time").(*lua.LFunction); ok {
		s.install(library, binding{name: "time", call: func(s *state, L *lua.LState) int { return osTime(s, L, f.GFunction) }})
	}
}

func osTime(s *state, L *lua.LState, ofLua lua.LGFunction) int {
	if L.Get(1) == lua.LNil {
		return give(L, lua.LNumber(s.time().Unix()))
	}
	return ofLua(L)
}
