// Package reference makes the lists in the pages of the reference, and the annotations
// for editors, of the tables of what scripts and their tests can use. Only tests
// import it: they fail when what they find is not what the tables make.
package reference

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// API is what there is to be used.
type API struct {
	// Prefix begins the names of types in the annotations: "fwx" makes fwx.conn.
	Prefix string
	// Page is where links within the page lead to from elsewhere.
	Page string
	// Head is the beginning of the annotations.
	Head string
	// Types are the names that stand for other types in signatures.
	Types    []Type
	Classes  []Class
	Handlers []Binding
	// Modules are the tables of functions; the first, whose name is empty, is what
	// require "Prefix" returns, as ModuleDoc tells.
	Modules   []Module
	ModuleDoc string
	// Extra are other parts of the page, by name.
	Extra map[string]string
}

// Type is a name that stands for another type.
type Type struct{ Name, Means, Doc string }

// Binding is a function, method or field: its name, its signature as package scripting
// has it, and what it does.
type Binding struct{ Name, Sig, Doc string }

// Class is a kind of object.
type Class struct {
	Name, Doc             string
	Fields, Methods, Meta []Binding
}

// Module is a table of functions and values.
type Module struct {
	Name              string
	Functions, Fields []Binding
}

// entry is a binding under the name by which it is used.
type entry struct {
	group    string // under which mark of the page it is listed
	name     string
	sig, doc string
	function bool
}

// metaForms are how scripts write what calls a metamethod.
var metaForms = map[string]string{"__len": "#%s", "__tostring": "tostring(%s)", "__concat": "%s .. other"}

// entries returns everything, but for what is Lua's own.
func (a *API) entries() (all []entry) {
	add := func(group, prefix string, function bool, bindings []Binding) {
		for _, b := range bindings {
			all = append(all, entry{group, prefix + b.Name, b.Sig, b.Doc, function})
		}
	}
	add("handlers", "", true, a.Handlers)
	for _, m := range a.Modules {
		group := strings.TrimSuffix(a.Prefix+"."+m.Name, ".")
		add(group, group+".", true, m.Functions)
		add(group, group+".", false, m.Fields)
	}
	for _, c := range a.Classes {
		add(c.Name, c.Name+".", false, c.Fields)
		add(c.Name, c.Name+":", true, c.Methods)
		for _, m := range c.Meta {
			if m.Sig != "" {
				all = append(all, entry{c.Name, fmt.Sprintf(metaForms[m.Name], c.Name), m.Sig, m.Doc, true})
			}
		}
	}
	return all
}

// Names returns the names of everything, and of the groups that it is in.
func (a *API) Names() map[string]bool {
	known := make(map[string]bool)
	for _, e := range a.entries() {
		known[e.name], known[e.group] = true, true
	}
	return known
}

// Compare compares files with what the API makes of them: the page and the
// annotations. With update it writes them first.
func (a *API) Compare(page, stubs string, update bool) error {
	text, err := os.ReadFile(page) //nolint:gosec // a file of the project
	if err != nil {
		return err
	}
	wantPage, pageErr := a.generatePage(string(text))
	wantStubs, stubsErr := a.stubs()
	return errors.Join(pageErr, stubsErr, compare(page, wantPage, update), compare(stubs, wantStubs, update))
}

func compare(path, want string, update bool) error {
	if update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil { //nolint:gosec // a file of the project
			return err
		}
	}
	got, err := os.ReadFile(path) //nolint:gosec // likewise
	if err == nil && string(got) != want {
		err = fmt.Errorf("%s is not what the tables make: run this test with -update", path)
	}
	return err
}
