// Package fields reads the headers that scripts and their tests give: a table of names
// with a value or a list of values, or one name with its values.
package fields

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
	"fwx/framework/wire/http1"
	"fwx/scripting/internal/number"
)

// DefaultMax bounds the headers in a table, and the values in a list.
const DefaultMax = 1000

// ErrTooMany is returned for a table or a list that has more than Rule.Max.
var ErrTooMany = errors.New("too many headers")

// Rule is what one place takes besides what all take.
type Rule struct {
	// Reserved are the names, in lower case, that cannot be set there.
	Reserved []string
	// Why says of a reserved name what it is: "Host is a header that the gateway writes itself".
	Why string
	// Text returns the text that an object stands for; nil: objects are no values.
	Text func(v *lua.LUserData) (text string, ok bool)
	// Lines leaves out what stands at positions instead of names.
	Lines bool
	// Max is how many headers there may be; 0 means DefaultMax.
	Max int
}

var errTable = errors.New(`a table of headers expected, names to values: { ["Content-Type"] = "text/plain", ["Set-Cookie"] = { "a=1", "b=2" } }`)

// Read returns the headers of a table in the order of their names, which Lua's own
// order would make another each time.
func (r Rule) Read(v lua.LValue) ([]framework.Field, error) {
	table, ok := v.(*lua.LTable)
	if !ok {
		return nil, errTable
	}
	values := make(map[string]lua.LValue)
	var names []string
	var err error
	table.ForEach(func(key, value lua.LValue) {
		name, ok := key.(lua.LString)
		switch {
		case ok:
			names, values[string(name)] = append(names, string(name)), value
		case !r.Lines:
			err = errTable
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a), strings.ToLower(b)), cmp.Compare(a, b))
	})
	var list []framework.Field
	for i, name := range names {
		if i > 0 && strings.EqualFold(names[i-1], name) {
			return nil, fmt.Errorf("headers %s and %s are one header in two spellings: give one of them a list of values", names[i-1], name)
		}
		texts, err := r.Values(name, values[name])
		if err != nil {
			return nil, err
		}
		for _, text := range texts {
			list = append(list, framework.Field{Name: name, Value: text})
		}
		if len(list) > r.max() {
			return nil, r.tooMany()
		}
	}
	return list, nil
}

// Values returns the values that a header is given: one, or those in a list.
func (r Rule) Values(name string, v lua.LValue) ([]string, error) {
	if err := r.Check(name); err != nil {
		return nil, err
	}
	list, ok := v.(*lua.LTable)
	if !ok {
		text, err := r.value(name, v)
		return []string{text}, err
	}
	n := 0
	list.ForEach(func(lua.LValue, lua.LValue) { n++ })
	switch {
	case n > r.max():
		return nil, r.tooMany()
	case n != list.Len():
		return nil, fmt.Errorf("header %s: a list of values expected, got a table with other keys", name)
	}
	texts := make([]string, n)
	for i := range texts {
		var err error
		if texts[i], err = r.value(name, list.RawGetInt(i+1)); err != nil {
			return nil, err
		}
	}
	return texts, nil
}

func (r Rule) max() int { return cmp.Or(r.Max, DefaultMax) }

func (r Rule) tooMany() error { return fmt.Errorf("%w: there may be %d", ErrTooMany, r.max()) }

// Check returns an error if a name is none that can be set.
func (r Rule) Check(name string) error {
	switch {
	case !http1.ValidName(name):
		return fmt.Errorf("%q is not the name of a header", name)
	case slices.ContainsFunc(r.Reserved, func(reserved string) bool { return strings.EqualFold(reserved, name) }):
		return fmt.Errorf("%s is a header that %s", name, r.Why)
	}
	return nil
}

// value returns the text of one value.
func (r Rule) value(name string, v lua.LValue) (string, error) {
	text, ok := r.text(v)
	switch {
	case !ok:
		return "", fmt.Errorf("header %s: wants a string, a number, or a list of them, got %s", name, describe(v))
	}
	return text, r.CheckValue(name, text)
}

// CheckValue returns an error if a text is none that a header can be given.
func (r Rule) CheckValue(name, text string) error {
	if !http1.ValidValue(text) {
		return fmt.Errorf("header %s: wants a value without control characters, got %q", name, shorten(text))
	}
	return nil
}

func (r Rule) text(v lua.LValue) (text string, ok bool) {
	switch v := v.(type) {
	case lua.LString:
		return string(v), true
	case lua.LNumber:
		return number.Text(float64(v)), !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0)
	case *lua.LUserData:
		if r.Text != nil {
			return r.Text(v)
		}
	}
	return "", false
}

// describe names what is no value.
func describe(v lua.LValue) string {
	switch v := v.(type) {
	case *lua.LNilType:
		return "nothing"
	case *lua.LUserData:
		return "an object"
	case lua.LNumber:
		return number.Text(float64(v))
	}
	return "a " + v.Type().String()
}

// maxShown is how much of a value an error shows.
const maxShown = 60

func shorten(text string) string {
	if len(text) > maxShown {
		return text[:maxShown] + "…"
	}
	return text
}
