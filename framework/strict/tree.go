package strict

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A node is one value of a document: a table with its keys, an array with its
// elements, or anything else.
type node struct {
	key   Position // where its name begins, or for an element the element
	head  Position // for a table, its header; else the same as key
	value any      // as the parser gave it
	whole bool     // written as one value, to which nothing can be added

	keys     map[string]*node
	elements []*node
}

// child returns the node of a key, made at the given place when it is new.
func (n *node) child(name string, at Position) *node {
	if found := n.keys[name]; found != nil {
		return found
	}
	made := &node{key: at, head: at}
	if n.keys == nil {
		n.keys = make(map[string]*node)
	}
	n.keys[name] = made
	return made
}

// element appends an element at the given place.
func (n *node) element(at Position) *node {
	made := &node{key: at, head: at}
	n.elements = append(n.elements, made)
	return made
}

// last returns the node that a key after n goes into: the newest element of an
// array, else n.
func (n *node) last() *node {
	for len(n.elements) > 0 {
		n = n.elements[len(n.elements)-1]
	}
	return n
}

// names returns the keys of a table in a fixed order.
func (n *node) names() []string {
	return slices.Sorted(maps.Keys(n.keys))
}

// bind gives the located nodes the values that the parser read. It reports whether
// each value had its node; one that had none is placed where the value around it is.
func (n *node) bind(value any) bool {
	n.value = value
	switch value := value.(type) {
	case map[string]any:
		return n.bindKeys(value)
	case []map[string]any:
		return bindElements(n, value)
	case []any:
		return bindElements(n, value)
	}
	return true
}

func (n *node) bindKeys(table map[string]any) bool {
	located := len(n.keys)
	complete := true
	for name, value := range table {
		complete = n.child(name, n.key).bind(value) && complete
	}
	return complete && len(n.keys) == located
}

func bindElements[T any](n *node, array []T) bool {
	complete := len(n.elements) >= len(array)
	for len(n.elements) < len(array) {
		n.element(n.key)
	}
	for i, value := range array {
		complete = n.elements[i].bind(value) && complete
	}
	return complete
}

// lost returns a mistake for each node that the parser read no value for. It loses
// one where a table has the name of an array in an earlier element:
//
//	[[a]]
//	b = [1]
//	[[a]]
//	b.c = 1
//	b.d.e = 2
func (n *node) lost(path string) Errors {
	if n.value == nil {
		return Errors{{Position: n.key, Key: path, Message: "cannot be read here; write its table with a header or in braces"}}
	}
	var all Errors
	for _, name := range n.names() {
		all = append(all, n.keys[name].lost(join(path, name))...)
	}
	for _, element := range n.elements {
		all = append(all, element.lost(path)...)
	}
	return all
}

// plain returns a copy of the value that shares nothing with the document: every
// table a map[string]any, every array a []any.
func (n *node) plain() any {
	switch n.value.(type) {
	case map[string]any:
		return n.plainTable()
	case []any, []map[string]any:
		array := make([]any, len(n.elements))
		for i, e := range n.elements {
			array[i] = e.plain()
		}
		return array
	}
	return n.value
}

func (n *node) plainTable() map[string]any {
	table := make(map[string]any, len(n.keys))
	for name, child := range n.keys {
		table[name] = child.plain()
	}
	return table
}

// find returns the node that a path such as "servers[1]" or "allow.read" leads
// to from n, or nil.
func (n *node) find(path string) *node {
	if found := n.keys[path]; found != nil {
		return found
	}
	parent, step := cutLast(path)
	if step == "" {
		return nil
	}
	if parent := n.find(parent); parent != nil {
		return parent.step(step)
	}
	return nil
}

// step goes one step of a path: to the element "[1]" or the key ".read".
func (n *node) step(step string) *node {
	if name, ok := strings.CutPrefix(step, "."); ok {
		return n.keys[name]
	}
	i, err := strconv.Atoi(strings.Trim(step, "[]"))
	if err != nil || i < 0 || i >= len(n.elements) {
		return nil
	}
	return n.elements[i]
}

// place returns the position of what a path leads to, or of the nearest thing
// around it.
func (n *node) place(path string) Position {
	for path != "" {
		if found := n.find(path); found != nil {
			return found.key
		}
		parent, step := cutLast(path)
		if step == "" {
			break
		}
		path = parent
	}
	return n.head
}

// cutLast cuts the last step off a path; step is empty when there is only one.
func cutLast(path string) (parent, step string) {
	cut := strings.LastIndexByte(path, '.')
	if strings.HasSuffix(path, "]") {
		cut = strings.LastIndexByte(path, '[')
	}
	if cut < 0 {
		return path, ""
	}
	return path[:cut], path[cut:]
}

// join appends a key to a path, spelt as it is in a document.
func join(path, name string) string {
	if !isBare(name) {
		name = strconv.Quote(name)
	}
	return joinRaw(path, name)
}

func joinRaw(path, rest string) string {
	if path == "" || rest == "" {
		return path + rest
	}
	return path + "." + rest
}

func isBare(name string) bool {
	for i := range len(name) {
		if !isBareByte(name[i]) {
			return false
		}
	}
	return name != ""
}
