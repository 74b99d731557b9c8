package strict

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Decode fills the struct that into points to from the table. The error is an
// Errors with all mistakes: unknown keys, wrong types, values out of range,
// missing keys. What was right is decoded all the same.
//
// Decode panics if into is anything but a pointer to a struct whose tagged fields
// it can decode: that is a mistake in the program, not in the document.
func (t Table) Decode(into any) error {
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() || target.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("strict: Decode wants a pointer to a struct, not %T", into))
	}
	check(target.Type(), make(map[reflect.Type]bool))
	var d decoder
	d.fields(t, target.Elem())
	return d.mistakes.Err()
}

// decoder gathers the mistakes of one Decode.
type decoder struct {
	mistakes Errors
}

// item is a value of the document with its full name.
type item struct {
	*node
	path string
}

func (d *decoder) fail(from item, format string, args ...any) {
	d.mistakes = append(d.mistakes, &Error{Position: from.key, Key: from.path, Message: fmt.Sprintf(format, args...), decoding: true})
}

// fields decodes a table into a struct.
func (d *decoder) fields(t Table, into reflect.Value) {
	fields := fieldsOf(into.Type())
	d.unknown(t, fields)
	for _, f := range fields {
		target, from := into.Field(f.index), t.get(f.name)
		switch {
		case f.name == self:
			target.Set(reflect.ValueOf(t))
		case from != nil:
			d.value(item{from, join(t.path, f.name)}, target)
		default:
			d.missing(t, f, target)
		}
	}
}

func (d *decoder) missing(t Table, f field, target reflect.Value) {
	if f.required {
		mistake := t.absent(f.name).Errorf("", "required key is missing")
		mistake.decoding = true
		d.mistakes.Add(mistake)
	}
	if target.Type() == tableType && target.IsZero() {
		target.Set(reflect.ValueOf(t.absent(f.name)))
	}
}

func (d *decoder) unknown(t Table, fields []field) {
	if t.node == nil {
		return
	}
	known := make(map[string]bool)
	var names []string
	for _, f := range fields {
		if f.name != self {
			known[f.name] = true
			names = append(names, f.name)
		}
	}
	for _, name := range t.node.names() {
		if !known[name] {
			d.fail(item{t.get(name), join(t.path, name)}, "unknown key%s", Suggest(name, names))
		}
	}
}

// value decodes a value of the document into a value of Go.
func (d *decoder) value(from item, into reflect.Value) {
	switch t := into.Type(); {
	case t.Kind() == reflect.Pointer:
		d.pointer(from, into)
	case t.Kind() == reflect.Interface:
		into.Set(reflect.ValueOf(from.plain()))
	case t == durationType:
		d.duration(from, into)
	case t == sizeType:
		d.size(from, into)
	case t == timeType:
		d.time(from, into)
	case t != tableType && readsText(t):
		d.text(from, into)
	case t.Kind() == reflect.Slice:
		d.slice(from, into)
	case t.Kind() == reflect.Struct, t.Kind() == reflect.Map:
		d.table(from, into)
	default:
		d.scalar(from, into)
	}
}

// pointer decodes into a new value, which starts as a copy of what the pointer
// points to.
func (d *decoder) pointer(from item, into reflect.Value) {
	target := reflect.New(into.Type().Elem())
	if !into.IsNil() {
		target.Elem().Set(into.Elem())
	}
	d.value(from, target.Elem())
	into.Set(target)
}

func (d *decoder) table(from item, into reflect.Value) {
	if _, ok := from.value.(map[string]any); !ok {
		d.wrongType(from, into)
		return
	}
	switch {
	case into.Type() == tableType:
		into.Set(reflect.ValueOf(tableOf(from.node, from.path)))
	case into.Kind() == reflect.Map:
		d.entries(from, into)
	default:
		d.fields(tableOf(from.node, from.path), into)
	}
}

func (d *decoder) entries(from item, into reflect.Value) {
	t := into.Type()
	entries := reflect.MakeMapWithSize(t, len(from.keys))
	for _, name := range from.names() {
		target := reflect.New(t.Elem()).Elem()
		d.value(item{from.keys[name], join(from.path, name)}, target)
		entries.SetMapIndex(reflect.ValueOf(name).Convert(t.Key()), target)
	}
	into.Set(entries)
}

func (d *decoder) slice(from item, into reflect.Value) {
	_, ofTables := from.value.([]map[string]any)
	if _, ok := from.value.([]any); !ok && !ofTables {
		d.wrongType(from, into)
		return
	}
	target := reflect.MakeSlice(into.Type(), len(from.elements), len(from.elements))
	for i, element := range from.elements {
		path := from.path
		if !ofTables {
			path += "[" + strconv.Itoa(i) + "]"
		}
		d.value(item{element, path}, target.Index(i))
	}
	into.Set(target)
}

func (d *decoder) duration(from item, into reflect.Value) {
	text, ok := from.value.(string)
	if !ok {
		if n, bare := from.value.(int64); bare {
			d.fail(from, `a duration needs a unit: write "%ds"`, n)
			return
		}
		d.wrongType(from, into)
		return
	}
	duration, err := time.ParseDuration(text)
	if err != nil {
		d.fail(from, `%q is not a duration; write it as "10s" or "1h30m"`, text)
		return
	}
	into.SetInt(int64(duration))
}

func (d *decoder) size(from item, into reflect.Value) {
	n, ok := from.value.(int64)
	switch {
	case !ok:
		d.text(from, into)
	case n < 0:
		d.fail(from, "%d is negative", n)
	default:
		into.SetInt(n)
	}
}

func (d *decoder) time(from item, into reflect.Value) {
	if at, ok := from.value.(time.Time); ok {
		into.Set(reflect.ValueOf(at))
		return
	}
	d.text(from, into)
}

// BoolUnmarshaler is an encoding.TextUnmarshaler that can be written as true or false, too.
type BoolUnmarshaler interface {
	UnmarshalBool(value bool) error
}

func (d *decoder) text(from item, into reflect.Value) {
	if flag, ok := from.value.(bool); ok {
		if target, ok := reflect.TypeAssert[BoolUnmarshaler](into.Addr()); ok {
			if err := target.UnmarshalBool(flag); err != nil {
				d.fail(from, "%v", err)
			}
			return
		}
	}
	text, ok := from.value.(string)
	if !ok {
		d.wrongType(from, into)
		return
	}
	target := into.Addr().Interface().(encoding.TextUnmarshaler)
	if err := target.UnmarshalText([]byte(text)); err != nil {
		d.fail(from, "%s", textMessage(text, err))
	}
}

// textMessage makes a message that names the text once, whatever the error says
// of it: the functions of net/netip begin with `ParseAddr("…"): `.
func textMessage(text string, err error) string {
	quoted, message := strconv.Quote(text), err.Error()
	if _, rest, found := strings.Cut(message, "("+quoted+"): "); found {
		message = rest
	}
	if strings.Contains(message, quoted) {
		return message
	}
	return quoted + ": " + message
}

// scalar decodes strings, booleans and numbers.
func (d *decoder) scalar(from item, into reflect.Value) {
	switch value := from.value.(type) {
	case string:
		if into.Kind() == reflect.String {
			into.SetString(value)
			return
		}
	case bool:
		if into.Kind() == reflect.Bool {
			into.SetBool(value)
			return
		}
	case int64:
		if into.CanInt() || into.CanUint() {
			d.integer(from, value, into)
			return
		}
		if into.CanFloat() {
			into.SetFloat(float64(value))
			return
		}
	case float64:
		if into.CanFloat() {
			d.float(from, value, into)
			return
		}
	}
	d.wrongType(from, into)
}

func (d *decoder) integer(from item, n int64, into reflect.Value) {
	low, high := limits(into)
	switch {
	case n < low || n > high:
		d.fail(from, "%d is out of range (%d to %d)", n, low, high)
	case into.CanUint():
		into.SetUint(uint64(n))
	default:
		into.SetInt(n)
	}
}

// limits returns the range of the integers that a field can hold and a document
// can spell.
func limits(into reflect.Value) (low, high int64) {
	spare := 64 - into.Type().Bits()
	if into.CanInt() {
		return math.MinInt64 >> spare, math.MaxInt64 >> spare
	}
	if spare == 0 {
		return 0, math.MaxInt64
	}
	return 0, math.MaxInt64 >> (spare - 1)
}

func (d *decoder) float(from item, f float64, into reflect.Value) {
	if into.OverflowFloat(f) {
		d.fail(from, "%g is out of range", f)
		return
	}
	into.SetFloat(f)
}
