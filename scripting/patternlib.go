package scripting

import (
	"errors"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"fwx/scripting/internal/number"
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
	if m.fixed {
		return s.searchFixed(m, from)
	}
	m.steps, m.limit = 0, int(max(s.meter.Left, 0))*stepsPerInstruction
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

// searchFixed is search for a pattern that is a fixed text.
func (s *state) searchFixed(m *matcher, from int) (start, end int) {
	start = strings.Index(m.subject[from:], m.pattern)
	if start < 0 {
		s.meter.charge(matchCost + (len(m.subject)-from)/seekPerInstruction)
		return noMatch, noMatch
	}
	s.meter.charge(matchCost + start/seekPerInstruction)
	return from + start, from + start + len(m.pattern)
}

// newMatcher returns a matcher for the arguments of a function.
func newMatcher(L *lua.LState) matcher {
	m := matcher{subject: checkText(L, 1), pattern: checkText(L, 2)}
	m.fixed = isFixed(m.pattern) && strings.IndexByte(m.pattern, ')') < 0 // which is a mistake there
	return m
}

// isFixed reports whether string.find takes a pattern for a text that stands for itself.
func isFixed(pattern string) bool {
	for i := range len(pattern) {
		if specialBytes[pattern[i]] {
			return false
		}
	}
	return true
}

// value returns a capture, or the whole match where there is none.
func (m *matcher) value(L *lua.LState, i, start, end int) lua.LValue {
	if i >= m.level {
		if i > 0 {
			L.RaiseError("invalid capture index")
		}
		return textValue(partOf(m.subject, start, end))
	}
	c := m.captures[i]
	switch c.length {
	case capturePosition:
		return wholeNumber(c.start + 1)
	case captureOpen:
		L.RaiseError("unfinished capture")
	}
	return textValue(partOf(m.subject, c.start, c.start+c.length))
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
	if lua.LVAsBool(L.Get(4)) || isFixed(pattern) {
		s.meter.charge((len(subject) - from) / seekPerInstruction)
		at := strings.Index(subject[from:], pattern)
		if at < 0 {
			return give(L, lua.LNil)
		}
		L.Push(wholeNumber(from + at + 1))
		L.Push(wholeNumber(from + at + len(pattern)))
		return 2
	}
	m := matcher{subject: subject, pattern: pattern}
	start, end := s.search(L, &m, from)
	if start == noMatch {
		return give(L, lua.LNil)
	}
	L.Push(wholeNumber(start + 1))
	L.Push(wholeNumber(end))
	return 2 + m.pushCaptures(L, start, end, false)
}

func stringMatch(s *state, L *lua.LState) int {
	m := newMatcher(L)
	from := argStart(L, len(m.subject))
	start, end := s.search(L, &m, from)
	if start == noMatch {
		return give(L, lua.LNil)
	}
	return m.pushCaptures(L, start, end, true)
}

// stringGmatch returns an iterator over all matches.
func stringGmatch(s *state, L *lua.LState) int {
	m := newMatcher(L)
	from := 0
	return give(L, s.function(binding{name: "gmatch", call: func(s *state, L *lua.LState) int {
		if from > len(m.subject) {
			return give(L, lua.LNil)
		}
		start, end := s.search(L, &m, from)
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
	m := newMatcher(L)
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
	L.Push(s.substitute(L, &m, replacement, limit))
	L.Push(wholeNumber(m.replaced))
	return 2
}

// substitute replaces up to limit matches, and counts them.
func (s *state) substitute(L *lua.LState, m *matcher, replacement lua.LValue, limit int) lua.LValue {
	var out []byte
	done, from := 0, 0 // what is in out, and where the next match may begin
	anchored := strings.HasPrefix(m.pattern, "^")
	text, isText := replacement.(lua.LString)
	isText = isText && strings.IndexByte(string(text), patternEscape) < 0 // it has no captures in it
	for m.replaced < limit && from <= len(m.subject) && (m.replaced == 0 || !anchored) {
		start, end := s.search(L, m, from)
		if start == noMatch {
			break
		}
		if m.replaced == 0 {
			out = make([]byte, 0, len(m.subject)+len(m.subject)/8)
		}
		m.replaced++
		out = append(out, m.subject[done:start]...)
		before := len(out)
		if isText {
			out = append(out, text...)
		} else {
			out = s.replacement(L, m, out, replacement, start, end)
		}
		s.checkSize(L, len(out)-before)
		if len(out) > maxStringSize {
			s.checkSize(L, len(out))
		}
		done, from = end, end
		if start == end {
			from++
		}
	}
	s.checkSize(L, len(out)+len(m.subject)-done)
	if m.replaced == 0 {
		return firstText(L)
	}
	return textValue(textOf(append(out, m.subject[done:]...)))
}

// replacement appends what a match is replaced by.
func (s *state) replacement(L *lua.LState, m *matcher, out []byte, by lua.LValue, start, end int) []byte {
	var value lua.LValue
	switch by := by.(type) {
	case lua.LString:
		return m.expand(L, out, string(by), start, end)
	case *lua.LTable:
		value = L.GetTable(by, m.value(L, 0, start, end))
	default:
		L.Push(by)
		L.Call(m.pushCaptures(L, start, end, true), 1)
		value = L.Get(-1)
		L.Pop(1)
	}
	switch v := value.(type) {
	case lua.LString:
		return append(out, v...)
	case lua.LNumber:
		return number.Append(out, float64(v))
	}
	if !lua.LVIsFalse(value) {
		L.RaiseError("invalid replacement value (a %s)", value.Type().String())
	}
	return append(out, m.subject[start:end]...)
}

// expand appends a replacement in which "%1" stands for a capture.
func (m *matcher) expand(L *lua.LState, out []byte, by string, start, end int) []byte {
	for {
		text, rest, found := strings.Cut(by, "%")
		out = append(out, text...)
		if !found || rest == "" {
			return out
		}
		switch c := rest[0]; {
		case c == '0', c == '1' && m.level == 0:
			out = append(out, m.subject[start:end]...)
		case isDigit(c):
			out = append(out, m.value(L, int(c-'1'), start, end).String()...)
		default:
			out = append(out, c)
		}
		by = rest[1:]
		if len(out) > maxStringSize {
			return out // the caller raises the error
		}
	}
}
