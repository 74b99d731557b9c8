package scripting

import (
	"errors"
	"strings"
)

// The patterns of Lua, matched as its own library does it, with a difference: the
// steps are counted. A pattern such as ".-.-.-x" takes the fourth power of the
// subject's length in steps, all in one instruction of the script.

const (
	maxCaptures     = 32
	maxPatternDepth = 200 // of items that the matcher recurses on
	patternEscape   = '%'
	patternSpecials = "^$*+?.([%-"
)

// specialBytes are patternSpecials.
var specialBytes = func() (special [256]bool) {
	for _, c := range []byte(patternSpecials) {
		special[c] = true
	}
	return special
}()

// What a capture's length says, if it is none.
const (
	captureOpen     = -1 // not closed yet
	capturePosition = -2 // "()": the position is what is captured
)

// errManySteps ends a match that has used up the budget.
var errManySteps = errors.New("too many steps in matching a pattern")

type capture struct{ start, length int }

// matcher matches one pattern against one subject. Mistakes in the pattern are
// panics of type patternError, which pass through find only.
type matcher struct {
	subject, pattern string
	level            int // captures begun
	captures         [maxCaptures]capture
	depth            int
	steps, limit     int
	fixed            bool // the pattern is a fixed text
	replaced         int  // matches, by gsub
}

type patternError struct{ err error }

func (m *matcher) fail(message string) { panic(patternError{errors.New(message)}) }

// noMatch is the end of a match that there is not.
const noMatch = -1

// find looks for the first match from a position on, and returns where it begins
// and ends; noMatch for none.
func (m *matcher) find(from int) (start, end int, err error) {
	defer func() {
		if r := recover(); r != nil {
			failed, ok := r.(patternError)
			if !ok {
				panic(r)
			}
			start, end, err = noMatch, noMatch, failed.err
		}
	}()
	p := 0
	anchored := len(m.pattern) > 0 && m.pattern[0] == '^'
	if anchored {
		p = 1
	}
	first := m.first()
	for s := from; s <= len(m.subject); s++ {
		if first > 0 {
			s = m.begin(s, first)
		}
		m.level, m.depth = 0, 0
		if e := m.match(s, p); e != noMatch {
			return s, e, nil
		}
		if anchored {
			break
		}
	}
	return noMatch, noMatch, nil
}

// first returns the end of the class that every match begins with a byte of; 0 if there is none.
func (m *matcher) first() int {
	if m.pattern == "" {
		return 0
	}
	end := 1
	switch c := m.pattern[0]; {
	case c == '[':
		end = m.classEnd(0)
	case c == patternEscape && len(m.pattern) > 1 && isLetter(m.pattern[1]) && m.pattern[1] != 'b' && m.pattern[1] != 'f':
		end = 2
	case specialBytes[c] || c == ')':
		return 0
	}
	if end < len(m.pattern) && strings.IndexByte("*?-", m.pattern[end]) >= 0 {
		return 0
	}
	return end
}

// begin goes on to the next byte of the class that a match begins with, which ends at end. What lies before it takes as many
// steps as to look for matches there would.
func (m *matcher) begin(s, end int) int {
	rest := m.subject[s:]
	n := 0
	switch c := m.pattern[0]; c {
	case '[':
		for ; n < len(rest); n++ {
			before := m.steps
			if m.inSet(rest[n], 1, end-1) {
				m.steps = before // match looks once more
				break
			}
		}
	case patternEscape:
		class := m.pattern[1]
		for n < len(rest) && !inClass(rest[n], class) {
			n++
		}
	default:
		if n = strings.IndexByte(rest, c); n < 0 {
			n = len(rest)
		}
	}
	m.count(n)
	return s + n
}

// step counts one step.
func (m *matcher) step() { m.count(1) }

// count counts steps.
func (m *matcher) count(n int) {
	m.steps += n
	if m.steps > m.limit {
		panic(patternError{errManySteps})
	}
}

// match matches the pattern from p on at s, and returns the end.
func (m *matcher) match(s, p int) int {
	if m.depth++; m.depth > maxPatternDepth {
		m.fail("pattern too complex")
	}
	end := m.items(s, p)
	m.depth--
	return end
}

// items is match without a look at the depth.
func (m *matcher) items(s, p int) int {
	for p < len(m.pattern) {
		m.step()
		switch c := m.pattern[p]; {
		case c == '(':
			return m.open(s, p)
		case c == ')':
			return m.close(s, p+1)
		case c == '$' && p+1 == len(m.pattern):
			if s == len(m.subject) {
				return s
			}
			return noMatch
		case c == patternEscape && p+1 < len(m.pattern) && m.pattern[p+1] == 'b':
			if s, p = m.balance(s, p+2), p+4; s == noMatch {
				return noMatch
			}
		case c == patternEscape && p+1 < len(m.pattern) && m.pattern[p+1] == 'f':
			if p = m.frontier(s, p+2); p == noMatch {
				return noMatch
			}
		case c == patternEscape && p+1 < len(m.pattern) && isDigit(m.pattern[p+1]):
			if s, p = m.back(s, m.pattern[p+1]), p+2; s == noMatch {
				return noMatch
			}
		default:
			done, next, after := m.item(s, p)
			if done {
				return next
			}
			s, p = next, after
		}
	}
	return s
}

// item matches a single character and what repeats it. Unless that ends the
// match it returns where to go on.
func (m *matcher) item(s, p int) (done bool, next, after int) {
	end := m.classEnd(p)
	suffix := byte(0)
	if end < len(m.pattern) {
		suffix = m.pattern[end]
	}
	switch suffix {
	case '?':
		if s < len(m.subject) && m.single(m.subject[s], p, end) {
			if e := m.match(s+1, end+1); e != noMatch {
				return true, e, 0
			}
		}
		return false, s, end + 1
	case '*':
		return true, m.longest(s, p, end), 0
	case '+':
		if s >= len(m.subject) || !m.single(m.subject[s], p, end) {
			return true, noMatch, 0
		}
		return true, m.longest(s+1, p, end), 0
	case '-':
		return true, m.shortest(s, p, end), 0
	}
	if s >= len(m.subject) || !m.single(m.subject[s], p, end) {
		return true, noMatch, 0
	}
	return false, s + 1, end
}

// longest matches as many as there are, and then fewer.
func (m *matcher) longest(s, p, end int) int {
	n := m.run(s, p, end)
	if end+1 == len(m.pattern) {
		return s + n
	}
	for ; n >= 0; n-- {
		if e := m.match(s+n, end+1); e != noMatch {
			return e
		}
	}
	return noMatch
}

// run returns how many bytes from s on are in the class from p to end. Each is a step.
func (m *matcher) run(s, p, end int) int {
	rest := m.subject[s:]
	n := 0
	switch c := m.pattern[p]; c {
	case '.':
		n = len(rest)
	case '[':
		for n < len(rest) && m.inSet(rest[n], p+1, end-1) {
			m.step()
			n++
		}
		return n
	case patternEscape:
		class := m.pattern[p+1]
		for n < len(rest) && inClass(rest[n], class) {
			n++
		}
	default:
		for n < len(rest) && rest[n] == c {
			n++
		}
	}
	m.count(n)
	return n
}

// shortest matches none, and then more.
func (m *matcher) shortest(s, p, end int) int {
	for {
		if e := m.match(s, end+1); e != noMatch {
			return e
		}
		if s >= len(m.subject) || !m.single(m.subject[s], p, end) {
			return noMatch
		}
		m.step()
		s++
	}
}

// classEnd returns the end of the class that begins at p.
func (m *matcher) classEnd(p int) int {
	c := m.pattern[p]
	p++
	switch c {
	case patternEscape:
		if p >= len(m.pattern) {
			m.fail("malformed pattern (ends with '%')")
		}
		return p + 1
	case '[':
		if p < len(m.pattern) && m.pattern[p] == '^' {
			p++
		}
		for first := true; first || m.at(p) != ']'; first = false { // a "]" that comes first is itself
			if m.at(p) == patternEscape {
				p++
				m.at(p)
			}
			p++
		}
		return p + 1
	}
	return p
}

// at returns a byte of the pattern within a set.
func (m *matcher) at(p int) byte {
	if p >= len(m.pattern) {
		m.fail("malformed pattern (missing ']')")
	}
	return m.pattern[p]
}

// single reports whether a byte is in the class from p to end.
func (m *matcher) single(c byte, p, end int) bool {
	switch m.pattern[p] {
	case '.':
		return true
	case patternEscape:
		return inClass(c, m.pattern[p+1])
	case '[':
		return m.inSet(c, p+1, end-1)
	}
	return m.pattern[p] == c
}

// inSet reports whether a byte is in the set whose elements are from p to end.
func (m *matcher) inSet(c byte, p, end int) bool {
	set, is := m.pattern[p:end], true
	if set[0] == '^' {
		set, is = set[1:], false
	}
	found, steps := false, 0
	for i := 0; i < len(set) && !found; {
		steps++
		switch e := set[i]; {
		case e == patternEscape:
			found = inClass(c, set[i+1])
			i += 2
		case i+2 < len(set) && set[i+1] == '-':
			found = e <= c && c <= set[i+2]
			i += 3
		default:
			found = e == c
			i++
		}
	}
	m.count(steps)
	return found == is
}

// inClass reports whether a byte is in the class of a letter, or is the letter.
func inClass(c, class byte) bool {
	bit := classBits[class|0x20]
	if bit == 0 || !isLetter(class) {
		return class == c
	}
	return (members[c]&bit != 0) == (class&0x20 != 0)
}

// classBits has a bit for each class, by its small letter, and members the classes of each byte.
var (
	classBits [256]uint16
	members   = classify(map[byte]func(c byte) bool{
		'a': isLetter,
		'c': func(c byte) bool { return c < ' ' || c == 0x7f },
		'd': isDigit,
		'l': func(c byte) bool { return 'a' <= c && c <= 'z' },
		'p': func(c byte) bool { return ' ' < c && c < 0x7f && !isLetter(c) && !isDigit(c) },
		's': func(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' },
		'u': func(c byte) bool { return 'A' <= c && c <= 'Z' },
		'w': func(c byte) bool { return isLetter(c) || isDigit(c) },
		'x': func(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' },
		'z': func(c byte) bool { return c == 0 },
	})
)

func classify(is map[byte]func(c byte) bool) (members [256]uint16) {
	bit := uint16(1)
	for class, has := range is {
		classBits[class] = bit
		for c := range members {
			if has(byte(c)) {
				members[c] |= bit
			}
		}
		bit <<= 1
	}
	return members
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// open begins a capture.
func (m *matcher) open(s, p int) int {
	if m.level >= maxCaptures {
		m.fail("too many captures")
	}
	length, after := captureOpen, p+1
	if after < len(m.pattern) && m.pattern[after] == ')' {
		length, after = capturePosition, after+1
	}
	m.captures[m.level] = capture{s, length}
	m.level++
	e := m.match(s, after)
	if e == noMatch {
		m.level--
	}
	return e
}

// close ends the capture that was begun last.
func (m *matcher) close(s, p int) int {
	for i := m.level - 1; i >= 0; i-- {
		if m.captures[i].length != captureOpen {
			continue
		}
		m.captures[i].length = s - m.captures[i].start
		e := m.match(s, p)
		if e == noMatch {
			m.captures[i].length = captureOpen
		}
		return e
	}
	m.fail("invalid pattern capture")
	return noMatch
}

// balance matches "%bxy" and returns the end.
func (m *matcher) balance(s, p int) int {
	if p+1 >= len(m.pattern) {
		m.fail("unbalanced pattern")
	}
	opening, closing := m.pattern[p], m.pattern[p+1]
	if s >= len(m.subject) || m.subject[s] != opening {
		return noMatch
	}
	depth := 1
	for s++; s < len(m.subject); s++ {
		m.step()
		switch m.subject[s] {
		case closing:
			if depth--; depth == 0 {
				return s + 1
			}
		case opening:
			depth++
		}
	}
	return noMatch
}

// frontier matches "%f[set]" and returns where the pattern goes on.
func (m *matcher) frontier(s, p int) int {
	if p >= len(m.pattern) || m.pattern[p] != '[' {
		m.fail("missing '[' after '%f' in pattern")
	}
	end := m.classEnd(p)
	var before, here byte
	if s > 0 {
		before = m.subject[s-1]
	}
	if s < len(m.subject) {
		here = m.subject[s]
	}
	if m.inSet(before, p+1, end-1) || !m.inSet(here, p+1, end-1) {
		return noMatch
	}
	return end
}

// back matches what a capture has captured, and returns the end.
func (m *matcher) back(s int, digit byte) int {
	i := int(digit) - '1'
	if i < 0 || i >= m.level || m.captures[i].length == captureOpen {
		m.fail("invalid capture index")
	}
	c := m.captures[i]
	if c.length == capturePosition {
		return noMatch // as nothing is equal to a position
	}
	text := m.subject[c.start : c.start+c.length]
	m.steps += len(text) / bytesPerInstruction
	if len(m.subject)-s < len(text) || m.subject[s:s+len(text)] != text {
		return noMatch
	}
	return s + len(text)
}
