package strict

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Position is a place in a document. Line and Column count from 1, Column in
// characters. A zero Line means that the place is not known.
type Position struct {
	File         string
	Line, Column int
}

// String writes the position as "config.toml:12:3", as much of it as is known.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	place := strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column)
	if p.File == "" {
		return place
	}
	return p.File + ":" + place
}

func (p Position) compare(q Position) int {
	return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column))
}

// Error is one mistake in a document. Key is the full name of the key that it is
// about, as the document spells it, and empty for a mistake of syntax.
type Error struct {
	Position
	Key     string
	Message string

	decoding bool // Decode has made it
}

// Error writes the mistake on one line, its position first:
//
//	config.toml:12:3: filter.scirpt: unknown key; did you mean "script"?
func (e *Error) Error() string {
	var b strings.Builder
	for _, part := range []string{e.Position.String(), e.Key} {
		if part != "" {
			b.WriteString(part + ": ")
		}
	}
	return b.String() + e.Message
}

// Errors are mistakes that are reported together. Append to it with [Errors.Add]
// and return [Errors.Err].
type Errors []*Error

// Add appends err: an *Error, all of an Errors, or any other error as a mistake
// without a place. A nil err adds nothing, so the result of a call can be added
// as it comes.
func (e *Errors) Add(err error) {
	switch err := err.(type) { //nolint:errorlint // A wrapped error keeps the words it was wrapped in.
	case nil:
	case *Error:
		*e = append(*e, err)
	case Errors:
		*e = append(*e, err...)
	default:
		*e = append(*e, &Error{Message: err.Error()})
	}
}

// Err returns the mistakes as an error, sorted by position, or nil when there are
// none. The error is an Errors.
func (e Errors) Err() error {
	if len(e) == 0 {
		return nil
	}
	sorted := slices.Clone(e)
	slices.SortStableFunc(sorted, func(a, b *Error) int { return a.compare(b.Position) })
	return sorted
}

// Error writes the mistakes one a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, mistake := range e {
		lines[i] = mistake.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes [errors.As] find the single mistakes.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, mistake := range e {
		all[i] = mistake
	}
	return all
}
