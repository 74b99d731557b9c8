package strict

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// lines turns offsets in a text into positions.
type lines struct {
	file   string
	text   string
	starts []int // the offset at which each line begins

	// The place asked for last, from where the next is counted if it is on the
	// same line: a line can be very long.
	offset, column int
}

func newLines(file, text string) *lines {
	l := &lines{file: file, text: text, starts: []int{0}, column: 1}
	for i := range len(text) {
		if text[i] == '\n' {
			l.starts = append(l.starts, i+1)
		}
	}
	return l
}

// at returns the position of an offset; one outside the text is moved into it.
func (l *lines) at(offset int) Position {
	offset = min(max(offset, 0), len(l.text))
	line := sort.SearchInts(l.starts, offset+1)
	if start := l.starts[line-1]; l.offset < start || l.offset > offset {
		l.offset, l.column = start, 1
	}
	l.column += utf8.RuneCountInString(l.text[l.offset:offset])
	l.offset = offset
	return Position{File: l.file, Line: line, Column: l.column}
}

// withoutBOM cuts off the byte order marks that the parser passes over too.
func withoutBOM(text string) string {
	for _, mark := range []string{"\xff\xfe", "\xfe\xff", "\xef\xbb\xbf"} {
		if rest, found := strings.CutPrefix(text, mark); found {
			return rest
		}
	}
	return text
}
