package strict

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// locate scans a document that the parser has accepted and returns its tables,
// keys and elements with their places, but without their values. It leans on the
// parser for what is forbidden; of a text that is not TOML it makes something or
// other, without getting stuck.
//
// One thing the parser lets pass, and then drops what was there before: a key that
// adds to what is already complete, as in
//
//	a = [1, 2]
//	a.b = 3
//
// These are the mistakes that locate returns.
func locate(lines *lines) (root *node, mistakes Errors) {
	s := &scanner{lines: lines, text: lines.text}
	root = &node{key: lines.at(0), head: lines.at(0)}
	table := root
	for s.skip(" \t\r\n"); !s.done(); s.skip(" \t\r\n") {
		start := s.offset
		if s.peek() == '[' {
			table = s.header(root)
		} else {
			s.pair(table)
		}
		if s.offset == start {
			s.offset++
		}
	}
	return root, s.mistakes
}

// scanner walks over the text of a document.
type scanner struct {
	lines    *lines
	text     string
	offset   int
	mistakes Errors
}

func (s *scanner) done() bool { return s.offset >= len(s.text) }

// peek returns the byte to read next, zero at the end.
func (s *scanner) peek() byte {
	if s.done() {
		return 0
	}
	return s.text[s.offset]
}

// take goes past a word if it comes next.
func (s *scanner) take(word string) bool {
	if !strings.HasPrefix(s.text[s.offset:], word) {
		return false
	}
	s.offset += len(word)
	return true
}

// skip goes past all the bytes of a set that come next, and past comments if
// newlines are in the set.
func (s *scanner) skip(set string) {
	comments := strings.Contains(set, "\n")
	for !s.done() {
		switch c := s.peek(); {
		case strings.IndexByte(set, c) >= 0:
			s.offset++
		case c == '#' && comments:
			s.until("\n")
		default:
			return
		}
	}
}

// until goes to the next byte of a set, or to the end.
func (s *scanner) until(set string) {
	if i := strings.IndexAny(s.text[s.offset:], set); i >= 0 {
		s.offset += i
	} else {
		s.offset = len(s.text)
	}
}

// header reads [a.b] or [[a.b]] and returns the table that it opens.
func (s *scanner) header(root *node) *node {
	at := s.lines.at(s.offset)
	array := s.take("[[")
	if !array {
		s.take("[")
	}
	table, name := s.name(root)
	opened := s.open(table, name)
	s.skip(" \t]")
	if array {
		opened = opened.element(name.at)
	}
	opened = opened.last()
	opened.head = at
	return opened
}

// pair reads "key = value" into a table.
func (s *scanner) pair(table *node) {
	table, name := s.name(table)
	n := table.child(name.text, name.at)
	if n.key != name.at {
		s.twice(n, name)
	}
	s.skip(" \t=")
	s.value(n)
	n.whole = true
}

// part is one part of a dotted name.
type part struct {
	text string
	at   Position
}

// name reads a dotted name. It returns the table that all parts but the last lead
// to from the given one, and the last part.
func (s *scanner) name(table *node) (*node, part) {
	for {
		last := s.part()
		s.skip(" \t")
		if !s.take(".") {
			return table, last
		}
		table = s.open(table, last).last()
	}
}

// open returns what a part names in a table, to add to it.
func (s *scanner) open(table *node, name part) *node {
	n := table.child(name.text, name.at)
	if n.whole {
		s.twice(n, name)
	}
	return n
}

func (s *scanner) twice(n *node, name part) {
	s.mistakes = append(s.mistakes, &Error{
		Position: name.at,
		Message:  fmt.Sprintf("key '%s' has already been defined on line %d", join("", name.text), n.key.Line),
	})
}

func (s *scanner) part() part {
	s.skip(" \t")
	at, start := s.lines.at(s.offset), s.offset
	if c := s.peek(); c == '"' || c == '\'' {
		s.line(c)
		return part{unquote(s.text[start:s.offset]), at}
	}
	for !s.done() && isBareByte(s.peek()) {
		s.offset++
	}
	return part{s.text[start:s.offset], at}
}

// value reads a value into its node.
func (s *scanner) value(n *node) {
	switch c := s.peek(); {
	case c == '[':
		s.array(n)
	case c == '{':
		s.inline(n)
	case s.take(`"""`):
		s.block('"')
	case s.take(`'''`):
		s.block('\'')
	case c == '"' || c == '\'':
		s.line(c)
	default:
		s.until(",]}#\r\n")
	}
}

func (s *scanner) array(n *node) {
	s.take("[")
	for s.skip(" \t\r\n,"); !s.done() && !s.take("]"); s.skip(" \t\r\n,") {
		start := s.offset
		s.value(n.element(s.lines.at(start)))
		if s.offset == start {
			s.offset++
		}
	}
}

func (s *scanner) inline(n *node) {
	s.take("{")
	for s.skip(" \t\r\n,"); !s.done() && !s.take("}"); s.skip(" \t\r\n,") {
		start := s.offset
		s.pair(n)
		if s.offset == start {
			s.offset++
		}
	}
}

// line reads a string of one line, from its opening quote past its closing one.
func (s *scanner) line(quote byte) {
	for s.offset++; !s.done(); s.offset++ {
		switch c := s.peek(); {
		case c == quote:
			s.offset++
			return
		case c == '\n':
			return
		case c == '\\' && quote == '"':
			s.escaped()
		}
	}
}

// block reads the rest of a string of several lines. Up to two quotes may stand
// before the three that close it.
func (s *scanner) block(quote byte) {
	closing := strings.Repeat(string(quote), 3)
	for ; !s.done(); s.offset++ {
		if s.take(closing) {
			s.skip(string(quote))
			return
		}
		if quote == '"' && s.peek() == '\\' {
			s.escaped()
		}
	}
}

// escaped goes from a backslash to the byte behind it, if there is one.
func (s *scanner) escaped() {
	if s.offset+1 < len(s.text) {
		s.offset++
	}
}

// unquote returns what a quoted key stands for.
func unquote(quoted string) string {
	text := quoted[1:]
	if closed := strings.TrimSuffix(text, quoted[:1]); len(closed) < len(text) {
		text = closed
	}
	if quoted[0] == '\'' {
		return text
	}
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, `\`)
		b.WriteString(before)
		if !found || after == "" {
			return b.String()
		}
		char, length := unescape(after)
		b.WriteRune(char)
		text = after[length:]
	}
}

// escapes are the escape sequences of one letter, by that letter.
var escapes = map[byte]rune{'b': '\b', 't': '\t', 'n': '\n', 'f': '\f', 'r': '\r', 'e': '\x1b'}

// unescape reads what follows a backslash, which is not empty: the character
// meant, and the number of bytes that spell it.
func unescape(text string) (char rune, length int) {
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[text[0]]
	if digits > 0 && digits < len(text) {
		code, err := strconv.ParseUint(text[1:1+digits], 16, 32)
		if err == nil {
			return rune(code), 1 + digits
		}
	}
	if char, ok := escapes[text[0]]; ok {
		return char, 1
	}
	return utf8.DecodeRuneInString(text)
}

func isBareByte(c byte) bool {
	return c == '_' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
