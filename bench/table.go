//go:build linux

package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// String renders the result as a table: for each figure the median, its ratio to the
// baseline, if there is one, and its spread; behind it what was not run.
func (r Result) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s: %s\n", r.Case, r.About)
	lines := make([][]string, 1+len(r.Rows))
	lines[0] = r.head()
	for i, row := range r.Rows {
		lines[i+1] = r.line(row)
	}
	if len(r.Rows) > 0 {
		align(&out, lines)
	}
	for _, n := range r.NotRun {
		fmt.Fprintf(&out, "  not run: %s: %s\n", n.Entry, n.Why)
	}
	return out.String()
}

func (r Result) head() []string {
	head := []string{""}
	for _, f := range r.figures {
		head = append(head, string(f))
		if f.isPart() {
			continue
		}
		if r.Baseline != "" {
			head = append(head, "×")
		}
		head = append(head, "±")
	}
	return head
}

func (r Result) line(row Row) []string {
	line := []string{row.Entry}
	for _, f := range r.figures {
		s := row.Figures[f]
		line = append(line, number3(s.Median))
		if f.isPart() {
			continue
		}
		if r.Baseline != "" {
			line = append(line, strconv.FormatFloat(s.Ratio, 'f', 2, 64))
		}
		line = append(line, strconv.FormatFloat(s.Spread*100, 'f', 0, 64)+"%")
	}
	return line
}

// number3 writes a number with three digits, or more in front of the point.
func number3(v float64) string {
	digits := 2
	switch size := math.Abs(v); {
	case size >= 100:
		digits = 0
	case size >= 10:
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}

// align writes lines with their cells in columns: the first to the left, the others to the
// right.
func align(out *strings.Builder, lines [][]string) {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, line := range lines {
		for i, cell := range line {
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				out.WriteString("  " + cell + padding)
			} else {
				out.WriteString("  " + padding + cell)
			}
		}
		out.WriteByte('\n')
	}
}
