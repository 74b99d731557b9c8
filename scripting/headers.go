package scripting

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/wire/http1"
)

// headers are the fields of a message as a script sees them.
type headers interface {
	// values returns the values of a name, in order.
	values(L *lua.LState, name string) []string
	// names returns all names, each once and in lower case, in order.
	names(L *lua.LState) []string
	// change returns the header to change.
	change(L *lua.LState) *http1.Header
}

var headersMethods = []binding{
	{"get", headersGet, "(name: string) -> string?", "The first header of a name, in capitals or not; `nil` if there is none."},
	{"all", headersAll, "(name: string) -> string[]", "All headers of a name, in their order."},
	{"names", headersNames, "() -> string[]", "The names of all headers, each once and in lower case, in order."},
	{
		"set", headersSet, "(name: string, value: string)",
		"Gives the first header of a name a value and removes the others, or adds one. Only those of `req` and `res` can be changed.",
	},
	{"add", headersAdd, "(name: string, value: string)", "Adds a header behind the others, whatever there is."},
	{"remove", headersRemove, "(name: string)", "Removes all headers of a name."},
}

func argHeaders(L *lua.LState) headers { return argObject[headers](L, 1, "headers") }

func headersGet(_ *state, L *lua.LState) int {
	if m, ok := argHeaders(L).(*messageHeaders); ok { // without a list
		name := argString(L, 2)
		h := m.header(L)
		for i := range h.Len() {
			if sameName(h.Name(i), name) {
				return give(L, lua.LString(h.Value(i)))
			}
		}
		return give(L, lua.LNil)
	}
	values := argHeaders(L).values(L, argString(L, 2))
	if len(values) == 0 {
		return give(L, lua.LNil)
	}
	return give(L, lua.LString(values[0]))
}

// sameName compares names without regard to case.
func sameName(name []byte, other string) bool {
	return len(name) == len(other) && strings.EqualFold(string(name), other)
}

func headersAll(_ *state, L *lua.LState) int {
	return give(L, listOf(L, argHeaders(L).values(L, argString(L, 2))))
}

func headersNames(_ *state, L *lua.LState) int { return give(L, listOf(L, argHeaders(L).names(L))) }

func listOf(L *lua.LState, texts []string) *lua.LTable {
	list := L.NewTable()
	for _, text := range texts {
		list.Append(lua.LString(text))
	}
	return list
}

func headersSet(_ *state, L *lua.LState) int {
	argHeaders(L).change(L).Set(argField(L))
	return 0
}

func headersAdd(_ *state, L *lua.LState) int {
	argHeaders(L).change(L).Add(argField(L))
	return 0
}

func headersRemove(_ *state, L *lua.LState) int {
	argHeaders(L).change(L).Remove(argName(L))
	return 0
}

// framingNames are the headers that the gateway writes itself.
var framingNames = []string{"connection", "content-length", "host", "keep-alive", "te", "transfer-encoding", "upgrade"}

// argName returns the argument that is the name of a header that a script may change.
func argName(L *lua.LState) string {
	name := argString(L, 2)
	switch {
	case !http1.ValidName(name):
		L.ArgError(2, "that is no name of a header")
	case slices.Contains(framingNames, strings.ToLower(name)):
		L.ArgError(2, name+" is a header that the gateway writes itself")
	}
	if m, ok := argHeaders(L).(*messageHeaders); ok && m.trailer && !http1.ValidTrailer([]byte(name)) {
		L.ArgError(2, name+" is a header that belongs before the body")
	}
	return name
}

// argField returns the arguments that are a header.
func argField(L *lua.LState) (name, value string) {
	name, value = argName(L), argString(L, 3)
	if !http1.ValidValue(value) {
		L.ArgError(3, "a header has no control characters")
	}
	return name, value
}

// receivedHeaders are those of an answer to fwx.http.
type receivedHeaders http.Header

func (h receivedHeaders) values(_ *lua.LState, name string) []string {
	return http.Header(h).Values(name)
}

func (h receivedHeaders) names(*lua.LState) []string {
	names := slices.Sorted(maps.Keys(h))
	for i := range names {
		names[i] = strings.ToLower(names[i])
	}
	return names
}

func (h receivedHeaders) change(L *lua.LState) *http1.Header {
	L.RaiseError("the headers of an answer cannot be changed")
	return nil
}

// messageHeaders are those of a request or a response, or its trailers.
type messageHeaders struct {
	message *message
	trailer bool
}

// header returns what they are just now.
func (h *messageHeaders) header(L *lua.LState) *http1.Header {
	x := h.message.live(L)
	switch {
	case h.trailer:
		if trailer := x.Trailer(h.message.dir); trailer != nil {
			return trailer
		}
		return new(http1.Header) // they have not come
	case h.message.dir == 0:
		return &x.Request().Header
	default:
		return &x.Response().Header
	}
}

func (h *messageHeaders) values(L *lua.LState, name string) (list []string) {
	header := h.header(L)
	for i := range header.Len() {
		if sameName(header.Name(i), name) {
			list = append(list, string(header.Value(i)))
		}
	}
	return list
}

func (h *messageHeaders) names(L *lua.LState) (list []string) {
	header := h.header(L)
	for i := range header.Len() {
		list = append(list, strings.ToLower(string(header.Name(i))))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// maxChanged bounds the fields of a message that a script adds to.
const maxChanged = 1000

func (h *messageHeaders) change(L *lua.LState) *http1.Header {
	if h.trailer && h.message.live(L).Trailer(h.message.dir) == nil {
		L.RaiseError("trailers can be changed when the handler is given the end of the body")
	}
	header := h.header(L)
	if header.Len() >= maxChanged {
		L.RaiseError("a message has at most %d headers", maxChanged)
	}
	return header
}
