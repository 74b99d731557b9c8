package reference

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// value is a parameter or a result in a signature.
type value struct {
	name     string // a result may have none
	typ      string
	optional bool
}

// signature is what the sig of a function says.
type signature struct {
	params, results []value
	canFail         bool
}

var (
	resultName = regexp.MustCompile(`^(\w+|\.\.\.)$`)
	quotedText = regexp.MustCompile(`"[^"]*"`)
	typeField  = regexp.MustCompile(`\w+\??:`) // of a table, or a parameter
	typeWord   = regexp.MustCompile(`[A-Za-z_]\w*`)
)

// parseSignature parses the sig of a function.
func parseSignature(sig string) (s signature, err error) {
	end := closing(sig)
	if end < 0 || sig[0] != '(' {
		return s, fmt.Errorf("%q does not begin with parameters in parentheses", sig)
	}
	for _, text := range splitList(sig[1:end]) {
		name, typ, ok := strings.Cut(text, ": ")
		if !ok {
			return s, fmt.Errorf("the parameter %q has no type", text)
		}
		name, optional := strings.CutSuffix(name, "?")
		s.params = append(s.params, value{name, typ, optional})
	}
	results := sig[end+1:]
	if results == "" {
		return s, nil
	}
	results, ok := strings.CutPrefix(results, " -> ")
	if !ok {
		return s, fmt.Errorf("%q follows the parameters", results)
	}
	results, s.canFail = strings.CutSuffix(results, " or fail")
	for _, text := range splitList(results) {
		v := value{typ: text}
		if name, typ, ok := strings.Cut(text, ": "); ok && resultName.MatchString(name) {
			v.name, v.typ = name, typ
		}
		s.results = append(s.results, v)
	}
	return s, nil
}

// closing returns where the bracket that a text begins with is closed; -1 if nowhere.
func closing(text string) int {
	depth := 0
	for i, c := range text {
		switch c {
		case '(', '{', '<', '[':
			depth++
		case ')', '}', '>', ']':
			depth--
		}
		if depth == 0 {
			return i
		}
	}
	return -1
}

// splitList splits a list at the commas that are in no bracket.
func splitList(text string) (parts []string) {
	depth, from := 0, 0
	for i, c := range text {
		switch c {
		case '(', '{', '<', '[':
			depth++
		case ')', '}', '>', ']':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, strings.TrimSpace(text[from:i]))
				from = i + 1
			}
		}
	}
	if last := strings.TrimSpace(text[from:]); last != "" {
		parts = append(parts, last)
	}
	return parts
}

// namesInType returns the names of types in a type.
func namesInType(typ string) []string {
	return typeWord.FindAllString(typeField.ReplaceAllString(quotedText.ReplaceAllString(typ, ""), ""), -1)
}

// Check reports signatures that cannot be parsed, types in them that are not known,
// and what has no description.
func (a *API) Check() error {
	known := map[string]bool{}
	for name := range strings.FieldsSeq("any boolean fun integer nil number string table thread true false") {
		known[name] = true
	}
	for _, n := range a.Types {
		known[n.Name] = true
	}
	for _, c := range a.Classes {
		known[c.Name] = true
	}
	var errs []error
	check := func(name, typ string) {
		for _, n := range namesInType(typ) {
			if !known[n] {
				errs = append(errs, fmt.Errorf("%s: %s is no type: want one of Lua, a class, or one of the names of types", name, n))
			}
		}
	}
	for _, e := range a.entries() {
		if e.doc == "" {
			errs = append(errs, fmt.Errorf("%s has no description", e.name))
		}
		if !e.function {
			check(e.name, e.sig)
			continue
		}
		s, err := parseSignature(e.sig)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", e.name, err))
		}
		for _, v := range append(s.params, s.results...) {
			check(e.name, v.typ)
		}
	}
	return errors.Join(errs...)
}
