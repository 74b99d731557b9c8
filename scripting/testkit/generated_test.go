package testkit

import (
	"flag"
	"testing"

	"fwx/scripting/internal/reference"
)

var update = flag.Bool("update", false, "rewrite what is generated")

// Both files are made of the tables of bindings: the page between the marks in it, the
// annotations as a whole.
const (
	referencePage = "../../docs/reference/testing.md"
	stubsFile     = "../stubs/fwxtest.lua"
)

// stubsHead is the beginning of the annotations.
const stubsHead = `---@meta fwxtest
-- luacheck: ignore
-- Generated from the tables of bindings; changes here are lost.

`

func api() *reference.API {
	a := &reference.API{Prefix: "fwxtest", Page: "docs/reference/testing.md", Head: stubsHead}
	for _, c := range classes {
		a.Classes = append(a.Classes, reference.Class{Name: c.name, Doc: c.doc, Fields: described(c.fields), Methods: described(c.methods)})
	}
	return a
}

func described(bindings []binding) (list []reference.Binding) {
	for _, b := range bindings {
		list = append(list, reference.Binding{Name: b.name, Sig: b.sig, Doc: b.doc})
	}
	return list
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
