package reference

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// stubs returns annotations for the Lua language server.
func (a *API) stubs() (string, error) {
	w := stubWriter{api: a}
	w.WriteString(a.Head)
	for _, n := range a.Types {
		w.comment(n.Doc)
		w.printf("---@alias %s.%s %s\n\n", a.Prefix, n.Name, w.typ(n.Means))
	}
	for _, c := range a.Classes {
		w.class(c)
	}
	if len(a.Handlers) > 0 {
		w.handlers()
	}
	if len(a.Modules) > 0 {
		w.modules()
	}
	return strings.TrimRight(w.String(), "\n") + "\n", errors.Join(w.errs...)
}

func (w *stubWriter) handlers() {
	w.comment("What a script returns.")
	w.printf("---@class %s.handlers\n", w.api.Prefix)
	for _, h := range w.api.Handlers {
		w.comment(h.Doc)
		w.printf("---@field %s? %s\n", h.Name, w.functionType(h.Sig))
	}
	w.printf("\n")
}

func (w *stubWriter) modules() {
	w.comment(w.api.ModuleDoc)
	w.printf("---@class %s\n", w.api.Prefix)
	for _, m := range w.api.Modules {
		w.module(m)
	}
	w.printf("return %s\n", w.api.Prefix)
}

type stubWriter struct {
	strings.Builder
	api  *API
	errs []error
}

func (w *stubWriter) printf(format string, args ...any) { fmt.Fprintf(w, format, args...) }

func (w *stubWriter) comment(doc string) {
	w.WriteString(wrap(strings.ReplaceAll(doc, "](#", "]("+w.api.Page+"#"), "---", 100))
}

func (w *stubWriter) class(c Class) {
	w.comment(c.Doc)
	w.printf("---@class %s.%s\n", w.api.Prefix, c.Name)
	for _, f := range c.Fields {
		w.comment(f.Doc)
		w.printf("---@field %s %s\n", f.Name, w.typ(f.Sig))
	}
	for _, m := range c.Meta {
		w.operator(m)
	}
	w.printf("local %s = {}\n\n", c.Name)
	for _, m := range c.Methods {
		w.function(c.Name+":"+m.Name, m)
	}
}

// operator tells of a metamethod that is an operator to editors.
func (w *stubWriter) operator(m Binding) {
	if m.Sig == "" || m.Name == "__tostring" {
		return
	}
	s := w.signature(m.Name, m.Sig)
	var operand string
	if len(s.params) > 0 {
		operand = "(" + w.typ(s.params[0].typ) + ")"
	}
	w.printf("---@operator %s%s: %s\n", strings.TrimPrefix(m.Name, "__"), operand, w.typ(s.results[0].typ))
}

func (w *stubWriter) module(m Module) {
	name := strings.TrimSuffix(w.api.Prefix+"."+m.Name, ".")
	if m.Name == "" {
		w.printf("local %s = {}\n\n", name)
	} else {
		w.printf("%s = {}\n\n", name)
	}
	for _, f := range m.Fields {
		w.comment(f.Doc)
		w.printf("---@type %s\n%s.%s = nil\n\n", w.typ(f.Sig), name, f.Name)
	}
	for _, f := range m.Functions {
		w.function(name+"."+f.Name, f)
	}
}

func (w *stubWriter) function(name string, b Binding) {
	s := w.signature(name, b.Sig)
	w.comment(b.Doc)
	names := make([]string, 0, len(s.params))
	for _, p := range s.params {
		names = append(names, p.name)
		mark := ""
		if p.optional {
			mark = "?"
		}
		w.printf("---@param %s%s %s\n", p.name, mark, w.typ(p.typ))
	}
	for _, r := range s.results {
		typ := w.typ(r.typ)
		if s.canFail {
			typ = optionalType(typ)
		}
		w.printf("---@return %s\n", strings.TrimSpace(typ+" "+r.name))
	}
	if s.canFail {
		w.printf("---@return string? message\n---@return string? code\n")
	}
	w.printf("function %s(%s) end\n\n", name, strings.Join(names, ", "))
}

func (w *stubWriter) signature(name, sig string) signature {
	s, err := parseSignature(sig)
	if err != nil {
		w.errs = append(w.errs, fmt.Errorf("%s: %w", name, err))
	}
	return s
}

// functionType returns a signature as a type.
func (w *stubWriter) functionType(sig string) string {
	s := w.signature("handler", sig)
	params, results := make([]string, 0, len(s.params)), make([]string, 0, len(s.results))
	for _, p := range s.params {
		params = append(params, p.name+": "+w.typ(p.typ))
	}
	for _, r := range s.results {
		results = append(results, w.typ(r.typ))
	}
	text := "fun(" + strings.Join(params, ", ") + ")"
	if len(results) > 0 {
		text += ": " + strings.Join(results, ", ")
	}
	return text
}

// optionalType returns a type that may also be nil.
func optionalType(typ string) string {
	switch {
	case typ == "any" || strings.HasSuffix(typ, "?") || strings.HasSuffix(typ, "|nil"):
		return typ
	case strings.Contains(typ, "|"):
		return typ + "|nil"
	}
	return typ + "?"
}

// typ returns a type with the names that are ours under the prefix.
func (w *stubWriter) typ(typ string) string {
	ours := make(map[string]bool)
	for _, n := range w.api.Types {
		ours[n.Name] = true
	}
	for _, c := range w.api.Classes {
		ours[c.Name] = true
	}
	var b strings.Builder
	for typ != "" {
		at := typeToken.FindStringIndex(typ)
		if at == nil {
			break
		}
		word := typ[at[0]:at[1]]
		b.WriteString(typ[:at[0]])
		field := strings.HasPrefix(typ[at[1]:], ":") || strings.HasPrefix(typ[at[1]:], "?:")
		if ours[word] && !field {
			b.WriteString(w.api.Prefix + ".")
		}
		b.WriteString(word)
		typ = typ[at[1]:]
	}
	return b.String() + typ
}

// typeToken is a word or quoted text in a type.
var typeToken = regexp.MustCompile(`"[^"]*"|[A-Za-z_]\w*`)
