package strict

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// fewWords is how many known words a suggestion lists at most.
const fewWords = 8

// Suggest returns what to append to a message about a word that is not among the
// known ones: `; did you mean "script"?` after a near miss, else a list of the
// known words when they are few, else nothing.
func Suggest(word string, known []string) string {
	if near, ok := nearest(word, known); ok {
		return "; did you mean " + strconv.Quote(near) + "?"
	}
	if len(known) == 0 || len(known) > fewWords {
		return ""
	}
	list := slices.Sorted(slices.Values(known))
	if len(list) == 1 {
		return "; expected " + list[0]
	}
	last := len(list) - 1
	return "; expected " + strings.Join(list[:last], ", ") + " or " + list[last]
}

// UnknownNameError reports a name that is not one of a set.
type UnknownNameError struct {
	What  string
	Name  string
	Known []string
}

// Error suggests what may have been meant, or lists the names there are.
func (e *UnknownNameError) Error() string {
	return fmt.Sprintf("unknown %s %q%s", e.What, e.Name, Suggest(e.Name, e.Known))
}

// nearest finds the known word that the given one was most likely meant to be.
// Case does not count. Up to a third of the letters may be wrong, at least one
// and at most three, but never all of them.
func nearest(word string, known []string) (near string, ok bool) {
	letters := []rune(strings.ToLower(word))
	best := min(max(len(letters)/3, 1), 3) + 1
	for _, candidate := range known {
		other := []rune(strings.ToLower(candidate))
		d := distance(letters, other)
		if d < best && d < max(len(letters), len(other)) {
			near, best, ok = candidate, d, true
		}
	}
	return near, ok
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour to get from a to b.
func distance(a, b []rune) int {
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range b {
			d := row[j]
			if a[i] != b[j] {
				d++
			}
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				d = min(d, before[j-1]+1)
			}
			next[j+1] = min(d, row[j+1]+1, next[j]+1)
		}
		before, row = row, next
	}
	return row[len(b)]
}
