package scripting

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
	"fwx/framework/wire/http1"
	"fwx/scripting/internal/fields"
)

// headers are the fields of a message as a script sees them.
type headers interface {
	// values returns the values of a name, in order.
	values(L *lua.LState, name string) []string
	// names returns all names, each once and in lower case, in order.
	names(L *lua.LState) []string
	// change returns the fields to change.
	change(L *lua.LState) framework.Fields
}

var headersMethods = []binding{
	{"get", headersGet, "(name: string) -> string?", "The first header of a name, in capitals or not; `nil` if there is none."},
	{"all", headersAll, "(name: string) -> string[]", "All headers of a name, in their order."},
	{"names", headersNames, "() -> string[]", "The names of all headers, each once and in lower case, in order."},
	{
		"set", headersSet, "(name: string, value: bytes|number|string[])",
		"Gives the first header of a name a value and removes the others, or adds one. Of a list each value makes a header. " +
			"Only those of `req` and `res` can be changed.",
	},
	{
		"add", headersAdd, "(name: string, value: bytes|number|string[])",
		"Adds a header after the others, whatever there is; of a list one for each value.",
	},
	{"remove", headersRemove, "(name: string)", "Removes all headers of a name."},
}

func argHeaders(L *lua.LState) headers { return argObject[headers](L, 1, "headers") }

func headersGet(_ *state, L *lua.LState) int {
	if m, ok := argHeaders(L).(*messageHeaders); ok { // without a list
		name := argString(L, 2)
		h := m.fields(L)
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
	return give(L, lua.LString(strings.Clone(values[0]))) // all of an answer's are one string
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
	list := L.CreateTable(len(texts), 0)
	for _, text := range texts {
		list.Append(lua.LString(strings.Clone(text)))
	}
	return list
}

// headersSet makes a header have the values that are given, and no others.
func headersSet(s *state, L *lua.LState) int {
	header, name := argHeaders(L).change(L), argName(L)
	values := s.argValues(L, name)
	if len(values) == 0 {
		return raise(L, header.Remove(name))
	}
	err := header.Set(name, values[0])
	for _, value := range values[1:] {
		err = errors.Join(err, header.Add(name, value))
	}
	return raise(L, err)
}

// fieldCost is the instructions that a field counts which is set, besides its bytes.
const fieldCost = 8

// valueCost is what a value counts that a field is given.
func valueCost(value string) int { return fieldCost + len(value)/bytesPerInstruction }

func headersAdd(s *state, L *lua.LState) int {
	header, name := argHeaders(L).change(L), argName(L)
	if value, ok := L.Get(3).(lua.LString); ok { // without a list
		if err := plainFields.CheckValue(name, string(value)); err != nil {
			L.ArgError(3, err.Error())
		}
		s.pay(L, valueCost(string(value)))
		return raise(L, header.Add(name, string(value)))
	}
	var err error
	for _, value := range s.argValues(L, name) {
		err = errors.Join(err, header.Add(name, value))
	}
	return raise(L, err)
}

func headersRemove(_ *state, L *lua.LState) int {
	return raise(L, argHeaders(L).change(L).Remove(argName(L)))
}

// plainFields is the rule for headers of messages that the gateway sends, whose values are texts.
var plainFields = fields.Rule{Reserved: http1.ReservedFields[:], Why: "the gateway writes itself"}

// messageFields is plainFields with chunks for values, too.
func messageFields(L *lua.LState) fields.Rule {
	rule := plainFields
	rule.Text = func(v *lua.LUserData) (string, bool) { return chunkText(L, v) }
	return rule
}

// chunkText returns the text of an object that is a chunk.
func chunkText(L *lua.LState, v *lua.LUserData) (string, bool) {
	c, ok := v.Value.(*chunk)
	if !ok {
		return "", false
	}
	return string(c.bytes(L)), true
}

// argName returns the argument that is the name of a header that a script may change.
func argName(L *lua.LState) string {
	name := argString(L, 2)
	if err := plainFields.Check(name); err != nil {
		L.ArgError(2, err.Error())
	}
	if m, ok := argHeaders(L).(*messageHeaders); ok && m.trailer && !http1.ValidTrailer([]byte(name)) {
		L.ArgError(2, name+" is a header that belongs before the body")
	}
	return name
}

// argValues returns the argument that is the value of a header, or a list of them.
func (s *state) argValues(L *lua.LState, name string) []string {
	values, err := messageFields(L).Values(name, L.Get(3))
	if err != nil {
		L.ArgError(3, err.Error())
	}
	for _, value := range values {
		s.pay(L, valueCost(value))
	}
	return values
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

func (h receivedHeaders) change(L *lua.LState) framework.Fields {
	L.RaiseError("the headers of an answer cannot be changed")
	return framework.Fields{}
}

// messageHeaders are those of a request or a response, or its trailers.
type messageHeaders struct {
	message *message
	trailer bool
	object  lua.LUserData
}

// fields returns what they are just now.
func (h *messageHeaders) fields(L *lua.LState) framework.Fields {
	x := h.message.live(L)
	switch {
	case h.trailer:
		return x.Trailer(h.message.dir)
	case h.message.dir == framework.Upstream:
		return x.Request().Fields
	default:
		return x.Response().Fields
	}
}

func (h *messageHeaders) values(L *lua.LState, name string) (list []string) {
	header := h.fields(L)
	for i := range header.Len() {
		if sameName(header.Name(i), name) {
			list = append(list, string(header.Value(i)))
		}
	}
	return list
}

func (h *messageHeaders) names(L *lua.LState) (list []string) {
	header := h.fields(L)
	for i := range header.Len() {
		list = append(list, strings.ToLower(string(header.Name(i))))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (h *messageHeaders) change(L *lua.LState) framework.Fields {
	header := h.fields(L)
	if header.Len() >= fields.DefaultMax {
		L.RaiseError("a message has at most %d headers", fields.DefaultMax)
	}
	return header
}
