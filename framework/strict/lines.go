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
}

func newLines(file, text string) *lines {
	l := &lines{file: file, text: text, starts: []int{0}}
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
	column := utf8.RuneCountInString(l.text[l.starts[line-1]:offset]) + 1
	return Position{File: l.file, Line: line, Column: column}
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
