package strict

import (
	"maps"
	"slices"
)

// Only returns the table with no other keys than these, Without the table with
// all but these. So a table whose keys concern two readers can be decoded by
// each of them, and every unknown key is still reported, once.
func (t Table) Only(keys ...string) Table {
	return t.filtered(func(key string) bool { return slices.Contains(keys, key) })
}

// Without returns the table without the given keys; see [Table.Only].
func (t Table) Without(keys ...string) Table {
	return t.filtered(func(key string) bool { return !slices.Contains(keys, key) })
}

func (t Table) filtered(keep func(key string) bool) Table {
	if t.node == nil {
		return t
	}
	part := *t.node
	part.keys = maps.Clone(part.keys)
	maps.DeleteFunc(part.keys, func(key string, _ *node) bool { return !keep(key) })
	if values, ok := part.value.(map[string]any); ok {
		values = maps.Clone(values)
		maps.DeleteFunc(values, func(key string, _ any) bool { return !keep(key) })
		part.value = values
	}
	t.node = &part
	return t
}
