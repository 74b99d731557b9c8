package testkit

import (
	"fmt"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// diff tells how two values differ: both on a line each if they are short, and
// otherwise the lines that differ, with those around them.
func diff(got, want lua.LValue) string {
	a, b := show(got, ""), show(want, "")
	if len(a) <= maxWidth && len(b) <= maxWidth && !strings.Contains(a+b, "\n") {
		return fmt.Sprintf("got:  %s\nwant: %s", a, b)
	}
	return "- want, + got\n" + diffLines(linesOf(want, b), linesOf(got, a))
}

// maxPiece is how much of a long line of a string stands on a line of a diff.
const maxPiece = 64

// linesOf returns a value as lines: a string by its own, with their ends shown.
func linesOf(v lua.LValue, shown string) (lines []string) {
	text, ok := v.(lua.LString)
	if !ok {
		return strings.Split(shown, "\n")
	}
	for line := range strings.Lines(string(text)) {
		for piece := range slices.Chunk([]byte(line), maxPiece) {
			lines = append(lines, quote(string(piece)))
		}
	}
	return lines
}

const (
	// contextLines are shown around lines that differ.
	contextLines = 2
	// maxDiffLines is up to how many lines that differ are looked for among each other.
	maxDiffLines = 1000
)

// change is a line of a diff: '-' only before, '+' only after, ' ' in both.
type change struct {
	kind byte
	line string
}

// diffLines tells how lines became others.
func diffLines(before, after []string) string {
	var changes []change
	note := func(kind byte, lines []string) {
		for _, line := range lines {
			changes = append(changes, change{kind, line})
		}
	}
	head := common(before, after)
	note(' ', before[:head])
	before, after = before[head:], after[head:]
	tail := commonEnd(before, after)
	ending := before[len(before)-tail:]
	before, after = before[:len(before)-tail], after[:len(after)-tail]
	if max(len(before), len(after)) > maxDiffLines {
		note('-', before)
		note('+', after)
	} else {
		changes = append(changes, longestCommon(before, after)...)
	}
	note(' ', ending)
	return render(changes)
}

func common(a, b []string) (n int) {
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

func commonEnd(a, b []string) (n int) {
	for n < min(len(a), len(b)) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return n
}

// longestCommon keeps as many lines as possible.
func longestCommon(a, b []string) (changes []change) {
	length := make([][]int, len(a)+1) // of what is common from there on
	for i := range length {
		length[i] = make([]int, len(b)+1)
	}
	for i, before := range slices.Backward(a) {
		for j, after := range slices.Backward(b) {
			if before == after {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			changes = append(changes, change{' ', a[i]})
			i++
			j++
		case j == len(b) || i < len(a) && length[i+1][j] >= length[i][j+1]:
			changes = append(changes, change{'-', a[i]})
			i++
		default:
			changes = append(changes, change{'+', b[j]})
			j++
		}
	}
	return changes
}

// render writes the changes with the lines around them.
func render(changes []change) string {
	near := func(i int) bool {
		for _, c := range changes[max(0, i-contextLines):min(len(changes), i+contextLines+1)] {
			if c.kind != ' ' {
				return true
			}
		}
		return false
	}
	var b strings.Builder
	skipped := 0
	for i, c := range changes {
		if !near(i) {
			skipped++
			continue
		}
		if skipped > 0 {
			fmt.Fprintf(&b, "  … %d the same\n", skipped)
			skipped = 0
		}
		fmt.Fprintf(&b, "%c %s\n", c.kind, c.line)
	}
	if skipped > 0 {
		fmt.Fprintf(&b, "  … %d the same\n", skipped)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
