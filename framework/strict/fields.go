package strict

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"
)

var (
	tableType    = reflect.TypeFor[Table]()
	durationType = reflect.TypeFor[time.Duration]()
	timeType     = reflect.TypeFor[time.Time]()
	sizeType     = reflect.TypeFor[Size]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// self is the name in the tag of a field that receives the table itself.
const self = "."

// field is a field of a struct that takes part in decoding.
type field struct {
	index    int
	name     string
	required bool
}

// fieldsOf returns the fields of a struct that have a tag. It panics at a tag that
// makes no sense.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	seen := make(map[string]bool)
	for i := range t.NumField() {
		tag, tagged := t.Field(i).Tag.Lookup("toml")
		if !tagged || tag == "-" {
			continue
		}
		f := fieldOf(t, i, tag)
		if seen[f.name] {
			panic(fmt.Sprintf("strict: %v has two fields for %q", t, f.name))
		}
		seen[f.name] = true
		fields = append(fields, f)
	}
	return fields
}

func fieldOf(t reflect.Type, index int, tag string) field {
	name, option, _ := strings.Cut(tag, ",")
	f := t.Field(index)
	switch {
	case !f.IsExported(), name == "", option != "" && option != "required":
		panic(fmt.Sprintf("strict: %v.%s cannot have the tag `toml:%q`", t, f.Name, tag))
	case name == self && (f.Type != tableType || option != ""):
		panic(fmt.Sprintf("strict: %v.%s has the tag `toml:%q`, but is no plain Table", t, f.Name, tag))
	}
	return field{index: index, name: name, required: option == "required"}
}

// check panics at a type that cannot be decoded into, so that a wrong struct fails
// on its first use, not on the first document that has the key.
func check(t reflect.Type, seen map[reflect.Type]bool) {
	if seen[t] || isLeaf(t) {
		return
	}
	seen[t] = true
	switch {
	case t.Kind() == reflect.Struct:
		for _, f := range fieldsOf(t) {
			check(t.Field(f.index).Type, seen)
		}
	case t.Kind() == reflect.Slice, t.Kind() == reflect.Pointer, isMap(t):
		check(t.Elem(), seen)
	default:
		panic(fmt.Sprintf("strict: cannot decode into a %v", t))
	}
}

// isLeaf reports whether values of a type are decoded in one piece.
func isLeaf(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	case reflect.Interface:
		return t.NumMethod() == 0
	default:
		return t == tableType || readsText(t)
	}
}

func isMap(t reflect.Type) bool {
	return t.Kind() == reflect.Map && t.Key().Kind() == reflect.String
}

// readsText reports whether a pointer to a value of the type reads text.
func readsText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(textType)
}
