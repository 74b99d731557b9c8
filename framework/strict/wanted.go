package strict

import (
	"reflect"
	"time"
)

// wrongType reports a value that is not of the kind that the field is of.
func (d *decoder) wrongType(from item, into reflect.Value) {
	t := into.Type()
	wants, _ := wanted(t)
	_, ofTables := from.value.([]map[string]any)
	_, isTable := from.value.(map[string]any)
	switch {
	case isTable && t.Kind() == reflect.Slice && isTableType(t.Elem()):
		wants += " (written [[" + from.path + "]])"
	case ofTables && isTableType(t):
		wants += " (written [" + from.path + "])"
	}
	d.fail(from, "wants %s, not %s", wants, found(from.value))
}

// isTableType reports whether a type is decoded from a table.
func isTableType(t reflect.Type) bool {
	one, _ := wanted(t)
	return one == "a table"
}

// wanted says in words what a type is decoded from: one of it, and many.
func wanted(t reflect.Type) (one, many string) {
	switch t {
	case tableType:
		return "a table", "tables"
	case durationType:
		return `a duration such as "10s"`, "durations"
	case sizeType:
		return `a size such as "64KiB"`, "sizes"
	case timeType:
		return "a date or time", "dates or times"
	}
	if readsText(t) {
		return "a string", "strings"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return wanted(t.Elem())
	case reflect.Slice:
		_, many = wanted(t.Elem())
		return "an array of " + many, "arrays of " + many
	case reflect.Struct, reflect.Map:
		return "a table", "tables"
	case reflect.String:
		return "a string", "strings"
	case reflect.Bool:
		return "true or false", "booleans"
	case reflect.Float32, reflect.Float64:
		return "a number", "numbers"
	case reflect.Interface:
		return "a value", "values"
	default:
		return "an integer", "integers"
	}
}

// found says in words what kind of value the document has.
func found(value any) string {
	switch value.(type) {
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case time.Time:
		return "a date or time"
	case []any:
		return "an array"
	case []map[string]any:
		return "an array of tables"
	}
	return "a table"
}
