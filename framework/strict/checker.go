package strict

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Checker checks settings once they have been decoded from a file, or filled in by a
// program. It reports a mistake at its place in the file, or under the name of the part
// that is wrong when there is no file. A part and each table inside it have a Checker of
// their own, made by [Checker.Sub].
//
// What Decode has reported is not reported again: a check may call a value that is missing
// or of a wrong type empty without asking why.
type Checker struct {
	mistakes *Errors
	table    Table
	part     string // what is checked, such as `listener "in"`
	path     string // the table inside it, such as "http.spool"
}

// NewChecker returns a Checker that adds to the mistakes, to which those of Decode have been
// added before.
func NewChecker(mistakes *Errors) Checker { return Checker{mistakes: mistakes} }

// Sub returns the Checker of a part, or of a table inside the part, which is a key such as
// "tls" or "server[1]". The table is zero if the settings are not from a file.
func (c Checker) Sub(name string, table Table) Checker {
	if c.table = table; c.part == "" {
		c.part = name
	} else {
		c.path = joinRaw(c.path, name)
	}
	return c
}

// String names what is checked: `listener "in": http.spool`.
func (c Checker) String() string { return c.name("") }

func (c Checker) name(key string) string {
	switch path := joinRaw(c.path, key); {
	case path == "":
		return c.part
	case c.part == "":
		return path
	default:
		return c.part + ": " + path
	}
}

// Has reports whether the settings are from a file that has the key.
func (c Checker) Has(key string) bool { return c.table.Has(key) }

// Add reports an error as it is, all of an [Errors] that Decode has not reported; nil is none.
func (c Checker) Add(err error) {
	var found Errors
	found.Add(err)
	for _, mistake := range found {
		c.add(mistake)
	}
}

func (c Checker) add(mistake *Error) {
	repeats := func(earlier *Error) bool {
		return earlier.decoding && mistake.Key == earlier.Key && mistake.Position == earlier.Position
	}
	if !slices.ContainsFunc(*c.mistakes, repeats) {
		c.mistakes.Add(mistake)
	}
}

// Errorf reports a mistake at a key, as [Table.Errorf] has it.
func (c Checker) Errorf(key, format string, args ...any) {
	if c.table.IsZero() {
		c.mistakes.Add(&Error{Key: c.name(key), Message: fmt.Sprintf(format, args...)})
		return
	}
	c.add(c.table.Errorf(key, format, args...))
}

// Text reports an empty string.
func (c Checker) Text(key, value string) {
	if value == "" {
		c.Errorf(key, "must not be empty")
	}
}

// Known reports a name that is not one of those known.
func (c Checker) Known(key, what, name string, known []string) {
	if !slices.Contains(known, name) {
		c.Errorf(key, "%v", &UnknownNameError{What: what, Name: name, Known: known})
	}
}

// OneOf reports a value that is not one of those known. A value that is left out becomes the
// first of them.
func (c Checker) OneOf(key string, value *string, what string, known []string) {
	if *value != "" || c.Has(key) {
		c.Known(key, what, *value, known)
	}
	if *value == "" {
		*value = known[0]
	}
}

// Duration reports a negative time. A time of 0 becomes the fallback; a file must leave the
// key out for that, because a written zero could mean no time or no limit.
func (c Checker) Duration(key string, value *time.Duration, fallback time.Duration) {
	switch {
	case *value < 0:
		c.Errorf(key, "wants a positive duration, not %v", *value)
	case *value == 0 && fallback > 0 && c.Has(key):
		c.Errorf(key, `0s could mean no time or no limit: leave the key out for %v, write "1ms" for hardly any time, or "8760h" for hardly a limit`, fallback)
	}
	if *value <= 0 {
		*value = fallback
	}
}

// Size reports a size that is out of bounds; most is math.MaxInt64 if only least bounds it.
// A size of 0 becomes the fallback; a file must leave the key out for that.
func (c Checker) Size(key string, value *Size, least, most, fallback Size) {
	switch n := *value; {
	case n == 0 && !c.Has(key):
	case n == 0 && fallback == 0:
		c.Errorf(key, "0 could mean nothing at all or no bound: leave the key out for no bound, or write a size of at least %d", int64(least))
	case n == 0 && most == math.MaxInt64:
		c.Errorf(key, "wants a size of at least %d, not 0; leave the key out for %v", int64(least), fallback)
	case n < least && most == math.MaxInt64:
		c.Errorf(key, "wants a size of at least %d, not %d", int64(least), int64(n))
	case n < least || n > most:
		c.Errorf(key, "wants a number from %d to %d, not %d", int64(least), int64(most), int64(n))
	}
	if *value <= 0 {
		*value = fallback
	}
}

// Count reports a number that is not from 0 to the most.
func (c Checker) Count(key string, n, most int) {
	if n < 0 || n > most {
		c.Errorf(key, "wants a number from 0 to %d, not %d", most, n)
	}
}

// Number reports a number that is not from 1 to the most. A number that is left out becomes
// the fallback.
func (c Checker) Number(key string, n *int, most, fallback int) {
	if *n < 0 || *n > most || *n == 0 && c.Has(key) {
		c.Errorf(key, "wants a number from 1 to %d, not %d", most, *n)
	}
	if *n <= 0 {
		*n = fallback
	}
}
