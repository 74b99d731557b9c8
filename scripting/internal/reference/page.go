package reference

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// line returns an entry as the page has it.
func (e entry) line() string {
	form := e.name + ": " + e.sig
	if e.function {
		form = e.name + e.sig
	}
	if _, result, _ := strings.Cut(e.sig, " -> "); strings.ContainsAny(e.name, "#( ") { // a metamethod
		form = e.name + " -> " + result
	}
	return "- `" + form + "`\\\n" + wrap(e.doc, "  ", 100)
}

// wrap breaks a text into lines of a width, each with the same beginning.
func wrap(text, begin string, width int) string {
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(text) {
		switch {
		case column == 0:
			b.WriteString(begin)
			column = len(begin)
		case column+1+len(word) > width:
			b.WriteString("\n" + begin)
			column = len(begin)
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String() + "\n"
}

// sections returns what belongs between the marks of the page.
func (a *API) sections() map[string]string {
	texts := maps.Clone(a.Extra)
	if texts == nil {
		texts = make(map[string]string)
	}
	for _, e := range a.entries() {
		texts[e.group] += e.line()
	}
	for _, n := range a.Types {
		texts["types"] += fmt.Sprintf("- `%s`: `%s`\\\n%s", n.Name, n.Means, wrap(n.Doc, "  ", 100))
	}
	return texts
}

// mark is a generated part of the page: its group, and what stands there.
var mark = regexp.MustCompile(`(?s)<!-- table: ([\w.]+) -->\n(.*?)<!-- end -->\n`)

// generatePage returns the page with its generated parts made anew.
func (a *API) generatePage(page string) (string, error) {
	texts := a.sections()
	var errs []error
	page = mark.ReplaceAllStringFunc(page, func(part string) string {
		name := mark.FindStringSubmatch(part)[1]
		text, ok := texts[name]
		if !ok {
			errs = append(errs, fmt.Errorf("the page has a place for %q, which is not there or has been placed before", name))
		}
		delete(texts, name)
		return "<!-- table: " + name + " -->\n" + text + "<!-- end -->\n"
	})
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		errs = append(errs, fmt.Errorf("the page lacks a place for it:\n<!-- table: %s -->\n<!-- end -->", name))
	}
	return page, errors.Join(errs...)
}

// Written returns what of a page is written by hand.
func Written(page string) string { return mark.ReplaceAllString(page, "") }
