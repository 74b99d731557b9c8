package scripting

import (
	"errors"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// patternFunctions replace those of the string library that take patterns.
var patternFunctions = []binding{
	{"find", stringFind, "", ""},
	{"match", stringMatch, "", ""},
	{"gmatch", stringGmatch, "", ""},
	{"gsub", stringGsub, "", ""},
}

// search finds a match, at the expense of the budget.
func (s *state) search(L *lua.LState, m *matcher, from int) (start, end int) {
	m.steps, m.limit = 0, int(max(s.meter.left, 0))*stepsPerInstruction
	start, end, err := m.find(from)
	s.meter.charge(m.steps/stepsPerInstruction + matchCost)
	if errors.Is(err, errManySteps) {
		L.RaiseError("%s in matching a pattern", s.meter.Err().Error())
	}
	if err != nil {
		L.RaiseError("%s", err.Error())
	}
	return start, end
}

// value returns a capture, or the whole match where there is none.
func (m *matcher) value(L *lua.LState, i, start, end int) lua.LValue {
	if i >= m.level {
		if i > 0 {
			L.RaiseError("invalid capture index")
		}
		return partOf(m.subject, start, end)
	}
	c := m.captures[i]
	switch c.length {
	case capturePosition:
		return lua.LNumber(c.start + 1)
	case captureOpen:
		L.RaiseError("unfinished capture")
	}
	return partOf(m.subject, c.start, c.start+c.length)
}

// pushCaptures pushes all captures; the whole match if there is none and whole is set.
func (m *matcher) pushCaptures(L *lua.LState, start, end int, whole bool) int {
	n := m.level
	if n == 0 && whole {
		n = 1
	}
	for i := range n {
		L.Push(m.value(L, i, start, end))
	}
	return n
}

// argStart returns the position that a search starts at, as a count from 0.
func argStart(L *lua.LState, size int) int {
	at := 1.0
	if L.Get(3) != lua.LNil {
		at = checkNumber(L, 3)
	}
	if at < 0 {
		at = max(float64(size)+at+1, 1)
	}
	return int(min(max(at, 1), float64(size)+1)) - 1
}

func stringFind(s *state, L *lua.LState) int {
	subject, pattern := checkText(L, 1), checkText(L, 2)
	from := argStart(L, len(subject))
	if lua.LVAsBool(L.Get(4)) || !strings.ContainsAny(pattern, patternSpecials) {
		s.meter.charge((len(subject) - from) / seekPerInstruction)
		at := strings.Index(subject[from:], pattern)
		if at < 0 {
			return give(L, lua.LNil)
		}
		L.Push(lua.LNumber(from + at + 1))
		L.Push(lua.LNumber(from + at + len(pattern)))
		return 2
	}
	m := &matcher{subject: subject, pattern: pattern}
	start, end := s.search(L, m, from)
	if start == noMatch {
		return give(L, lua.LNil)
	}
	L.Push(lua.LNumber(start + 1))
	L.Push(lua.LNumber(end))
	return 2 + m.pushCaptures(L, start, end, false)
}

func stringMatch(s *state, L *lua.LState) int {
	m := &matcher{subject: checkText(L, 1), pattern: checkText(L, 2)}
	from := argStart(L, len(m.subject))
	start, end := s.search(L, m, from)
	if start == noMatch {
		return give(L, lua.LNil)
	}
	return m.pushCaptures(L, start, end, true)
}

// stringGmatch returns an iterator over all matches.
func stringGmatch(s *state, L *lua.LState) int {
	m := &matcher{subject: checkText(L, 1), pattern: checkText(L, 2)}
	from := 0
	return give(L, s.function(binding{name: "gmatch", call: func(s *state, L *lua.LState) int {
		if from > len(m.subject) {
			return give(L, lua.LNil)
		}
		start, end := s.search(L, m, from)
		if start == noMatch {
			from = len(m.subject) + 1
			return give(L, lua.LNil)
		}
		from = end
		if start == end { // an empty match: go on behind it
			from++
		}
		return m.pushCaptures(L, start, end, true)
	}}))
}

func stringGsub(s *state, L *lua.LState) int {
	m := &matcher{subject: checkText(L, 1), pattern: checkText(L, 2)}
	replacement := L.Get(3)
	switch v := replacement.(type) {
	case lua.LNumber:
		replacement = lua.LString(plainText(v))
	case lua.LString, *lua.LTable, *lua.LFunction:
	default:
		L.ArgError(3, "string/function/table expected, got "+replacement.Type().String())
	}
	limit := len(m.subject) + 1
	if L.Get(4) != lua.LNil {
		limit = checkInt(L, 4)
	}
	text, n := s.substitute(L, m, replacement, limit)
	L.Push(lua.LString(text))
	L.Push(lua.LNumber(n))
	return 2
}

// substitute replaces up to limit matches.
func (s *state) substitute(L *lua.LState, m *matcher, replacement lua.LValue, limit int) (text string, n int) {
	var out strings.Builder
	done, from := 0, 0 // what is in out, and where the next match may begin
	anchored := strings.HasPrefix(m.pattern, "^")
	for n < limit && from <= len(m.subject) && (n == 0 || !anchored) {
		start, end := s.search(L, m, from)
		if start == noMatch {
			break
		}
		n++
		out.WriteString(m.subject[done:start])
		before := out.Len()
		s.replacement(L, m, &out, replacement, start, end)
		s.checkSize(L, out.Len()-before)
		if out.Len() > maxStringSize {
			s.checkSize(L, out.Len())
		}
		done, from = end, end
		if start == end {
			from++
		}
	}
	out.WriteString(m.subject[done:])
	s.checkSize(L, out.Len())
	return out.String(), n
}

// replacement writes what a match is replaced by.
func (s *state) replacement(L *lua.LState, m *matcher, out *strings.Builder, by lua.LValue, start, end int) {
	var value lua.LValue
	switch by := by.(type) {
	case lua.LString:
		m.expand(L, out, string(by), start, end)
		return
	case *lua.LTable:
		value = L.GetTable(by, m.value(L, 0, start, end))
	default:
		L.Push(by)
		L.Call(m.pushCaptures(L, start, end, true), 1)
		value = L.Get(-1)
		L.Pop(1)
	}
	switch {
	case lua.LVIsFalse(value):
		out.WriteString(m.subject[start:end])
	case lua.LVCanConvToString(value):
		out.WriteString(plainText(value))
	default:
		L.RaiseError("invalid replacement value (a %s)", value.Type().String())
	}
}

// expand writes a replacement in which "%1" stands for a capture.
func (m *matcher) expand(L *lua.LState, out *strings.Builder, by string, start, end int) {
	for {
		text, rest, found := strings.Cut(by, "%")
		out.WriteString(text)
		if !found || rest == "" {
			return
		}
		switch c := rest[0]; {
		case c == '0':
			out.WriteString(m.subject[start:end])
		case isDigit(c):
			out.WriteString(m.value(L, int(c-'1'), start, end).String())
		default:
			out.WriteByte(c)
		}
		by = rest[1:]
		if out.Len() > maxStringSize {
			return // the caller raises the error
		}
	}
}
