package scripting

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"fwx/scripting/internal/reference"
)

// Both files are for people who write scripts, and made of the tables of bindings:
// the page between the marks in it, the stubs as a whole.
const (
	referencePage = "../docs/reference/lua.md"
	stubsFile     = "stubs/fwx.lua"
)

// stubsHead is the beginning of the stubs.
const stubsHead = `---@meta fwx
-- luacheck: ignore
-- Generated from the tables of bindings; changes here are lost.
-- What a function with "@return string? message" returns when it fails is nil,
-- a message and a code.

`

// api returns the tables of bindings as package reference has them.
func api() *reference.API {
	a := &reference.API{
		Prefix: "fwx", Page: "docs/reference/lua.md", Head: stubsHead, ModuleDoc: moduleDoc,
		Extra: map[string]string{"libraries": librariesTable()},
	}
	for _, n := range typeNames {
		a.Types = append(a.Types, reference.Type{Name: n.name, Means: n.means, Doc: n.doc})
	}
	for _, h := range handlerTable {
		a.Handlers = append(a.Handlers, reference.Binding{Name: h.name, Sig: h.sig, Doc: h.doc})
	}
	for _, l := range fwxModules {
		a.Modules = append(a.Modules, reference.Module{Name: l.name, Functions: described(l.functions), Fields: described(l.fields)})
	}
	for _, c := range classes {
		a.Classes = append(a.Classes, reference.Class{
			Name: c.name, Doc: c.doc, Fields: described(c.fields), Methods: described(c.methods), Meta: described(c.meta),
		})
	}
	return a
}

func described(bindings []binding) (list []reference.Binding) {
	for _, b := range bindings {
		list = append(list, reference.Binding{Name: b.name, Sig: b.sig, Doc: b.doc})
	}
	return list
}

// librariesTable lists what scripts have of Lua's libraries.
func librariesTable() string {
	var b strings.Builder
	b.WriteString("| library | names |\n|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(allowed)) {
		names := slices.Clone(allowed[name])
		title := "`" + name + "`"
		if name == "" {
			title = "globals"
			names = append(names, "print", "require")
		}
		slices.Sort(names)
		fmt.Fprintf(&b, "| %s | `%s` |\n", title, strings.Join(names, "` `"))
	}
	return b.String()
}

// TestGenerated compares the files with what the tables make of them.
func TestGenerated(t *testing.T) {
	if err := api().Compare(referencePage, stubsFile, *update); err != nil {
		t.Error(err)
	}
}

func TestSignatures(t *testing.T) {
	if err := api().Check(); err != nil {
		t.Error(err)
	}
}

var (
	codeOfPage = regexp.MustCompile("(?ms)^```lua\n.*?^```$|`[^`\n]+`")
	// ourName is a name that can only be one of the module or of conn.
	ourName = regexp.MustCompile(`\b(?:fwx\.\w+(?:[.:]\w+)?|conn[.:]\w+)`)
)

// TestPage checks the names in the parts of the page that are written by hand.
func TestPage(t *testing.T) {
	page, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	known := api().Names()
	for _, m := range firewallMethods {
		known["fwx.firewall:"+m.name] = true
	}
	for _, code := range codeOfPage.FindAllString(reference.Written(string(page)), -1) {
		for _, name := range ourName.FindAllString(code, -1) {
			if !known[name] {
				t.Errorf("%s has `%s`, which is not there", referencePage, name)
			}
		}
	}
	for _, c := range codes {
		if !strings.Contains(string(page), fmt.Sprintf("| `%q` |", c.code)) {
			t.Errorf("%s lacks the code `%q`", referencePage, c.code)
		}
	}
}
