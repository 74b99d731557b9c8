package strict

import "fmt"

// Table is a table of a document. The zero Table is an empty one.
type Table struct {
	node *node    // nil for a table that is not in the document
	path string   // its full name
	head Position // its header, or that of the table it is missing from
}

func tableOf(n *node, path string) Table {
	return Table{node: n, path: path, head: n.head}
}

// absent returns the table that a missing key of t stands for.
func (t Table) absent(name string) Table {
	return Table{path: join(t.path, name), head: t.head}
}

// IsZero reports whether the document has no such table; it may have an empty
// one.
func (t Table) IsZero() bool { return t.node == nil }

// Has reports whether the table has a key.
func (t Table) Has(key string) bool { return t.get(key) != nil }

func (t Table) get(key string) *node {
	if t.node == nil {
		return nil
	}
	return t.node.keys[key]
}

// Map returns a copy of the table as plain values: string, int64, float64, bool,
// time.Time, []any and map[string]any. It is never nil.
func (t Table) Map() map[string]any {
	if t.node == nil {
		return map[string]any{}
	}
	return t.node.plainTable()
}

// Errorf returns a mistake at a key of the table. The key may lead further down,
// as "servers[1]" and "allow.read" do; what is absent is placed at the nearest
// thing around it, at the last the table's header. The empty key means the table
// itself.
func (t Table) Errorf(key, format string, args ...any) *Error {
	mistake := &Error{Position: t.head, Key: joinRaw(t.path, key), Message: fmt.Sprintf(format, args...)}
	if t.node == nil {
		return mistake
	}
	mistake.Position = t.node.place(key)
	if t.Has(key) {
		mistake.Key = join(t.path, key)
	}
	return mistake
}
