package strict

import (
	"fmt"
	"reflect"
)

// Setting describes a field that Decode fills, for a program that lists what a
// configuration may say.
type Setting struct {
	Key      string
	Type     string // in words: "a string", "an array of strings"
	Default  string // empty: none, or the zero value
	Required bool
	Doc      string // the field's `doc` tag
}

// Describe returns the settings of the struct that defaults points to, with the
// values of its fields as the defaults. Tables inside it follow their own keys,
// joined by dots.
func Describe(defaults any) []Setting {
	return describe("", reflect.ValueOf(defaults).Elem())
}

func describe(prefix string, v reflect.Value) []Setting {
	var settings []Setting
	for _, f := range fieldsOf(v.Type()) {
		if f.name == self {
			continue
		}
		value, key := v.Field(f.index), join(prefix, f.name)
		if value.Kind() == reflect.Struct && value.Type() != tableType && !isLeaf(value.Type()) {
			settings = append(settings, describe(key, value)...)
			continue
		}
		one, _ := wanted(value.Type())
		s := Setting{Key: key, Type: one, Required: f.required, Doc: v.Type().Field(f.index).Tag.Get("doc")}
		if !value.IsZero() && value.Type() != tableType {
			s.Default = fmt.Sprint(value.Interface())
		}
		settings = append(settings, s)
	}
	return settings
}
