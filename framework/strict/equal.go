package strict

import "reflect"

// Equal reports whether two settings say the same, wherever they stand in a file. It compares
// as [reflect.DeepEqual] does, apart from tables: the one that a struct was decoded from, in
// its field with the tag ".", is left out, because the other fields have what it says. Of any
// other table the contents count.
func Equal[T any](a, b T) bool {
	return equal(reflect.ValueOf(&a).Elem(), reflect.ValueOf(&b).Elem())
}

func equal(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Struct:
		return equalFields(a, b)
	case reflect.Pointer:
		return a.Pointer() == b.Pointer() || !a.IsNil() && !b.IsNil() && equal(a.Elem(), b.Elem())
	case reflect.Interface:
		return a.IsNil() && b.IsNil() || !a.IsNil() && !b.IsNil() && a.Elem().Type() == b.Elem().Type() && equal(a.Elem(), b.Elem())
	case reflect.Slice:
		return a.IsNil() == b.IsNil() && a.Len() == b.Len() && equalElements(a, b)
	case reflect.Array:
		return equalElements(a, b)
	case reflect.Map:
		return a.IsNil() == b.IsNil() && a.Len() == b.Len() && equalEntries(a, b)
	case reflect.Func:
		return a.IsNil() && b.IsNil()
	default:
		return a.Equal(b)
	}
}

func equalFields(a, b reflect.Value) bool {
	t := a.Type()
	if t == tableType {
		x, y := tableIn(a), tableIn(b)
		return reflect.DeepEqual(x.Map(), y.Map())
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.Type == tableType && f.Tag.Get("toml") == self {
			continue
		}
		if !equal(a.Field(i), b.Field(i)) {
			return false
		}
	}
	return true
}

// tableIn returns a table, whose field need not be exported.
func tableIn(v reflect.Value) Table {
	return Table{node: (*node)(v.FieldByName("node").UnsafePointer())}
}

func equalElements(a, b reflect.Value) bool {
	for i := range a.Len() {
		if !equal(a.Index(i), b.Index(i)) {
			return false
		}
	}
	return true
}

func equalEntries(a, b reflect.Value) bool {
	for key, value := range a.Seq2() {
		if other := b.MapIndex(key); !other.IsValid() || !equal(value, other) {
			return false
		}
	}
	return true
}
