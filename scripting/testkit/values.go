package testkit

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// maxDepth bounds how deep tables are looked into.
const maxDepth = 50

// same reports whether two values are the same; of tables it is what is in them.
func same(a, b lua.LValue, depth int) bool {
	left, ok := a.(*lua.LTable)
	right, both := b.(*lua.LTable)
	if !ok || !both || left == right {
		return a == b
	}
	if depth >= maxDepth {
		return false
	}
	equal := true
	left.ForEach(func(key, value lua.LValue) { equal = equal && same(value, right.RawGet(key), depth+1) })
	right.ForEach(func(key, _ lua.LValue) { equal = equal && left.RawGet(key) != lua.LNil })
	return equal
}

// maxWidth is up to which width a table is shown on one line.
const maxWidth = 72

// show writes a value as Lua would, and as people read it: the keys of a table in order.
func show(v lua.LValue, indent string) string {
	switch v := v.(type) {
	case lua.LString:
		return quote(string(v))
	case *lua.LTable:
		return showTable(v, indent)
	case *lua.LUserData:
		if text, ok := v.Value.(fmt.Stringer); ok {
			return text.String()
		}
	}
	return v.String()
}

func showTable(t *lua.LTable, indent string) string {
	if len(indent) > maxDepth {
		return "{…}"
	}
	inner := indent + "  "
	var parts []string
	n := t.Len()
	for i := 1; i <= n; i++ {
		parts = append(parts, show(t.RawGetInt(i), inner))
	}
	named := make(map[string]string)
	t.ForEach(func(key, value lua.LValue) {
		if i, ok := key.(lua.LNumber); ok && i >= 1 && int(i) <= n && i == lua.LNumber(int(i)) {
			return
		}
		name := "[" + show(key, inner) + "]"
		if text, ok := key.(lua.LString); ok && isName(string(text)) {
			name = string(text)
		}
		named[name] = show(value, inner)
	})
	for _, name := range slices.Sorted(maps.Keys(named)) {
		parts = append(parts, name+" = "+named[name])
	}
	line := "{ " + strings.Join(parts, ", ") + " }"
	switch {
	case len(parts) == 0:
		return "{}"
	case len(line) <= maxWidth && !strings.Contains(line, "\n"):
		return line
	}
	return "{\n" + inner + strings.Join(parts, ",\n"+inner) + ",\n" + indent + "}"
}

func isName(text string) bool {
	for i, c := range text {
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return text != ""
}

// quote writes a string with what cannot be seen as escapes of Lua.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\%03d`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return strings.ToValidUTF8(b.String(), "�")
}

// toGo returns a value for settings: a string, number, boolean, []any or map[string]any.
func toGo(v lua.LValue) (any, error) {
	switch v := v.(type) {
	case lua.LString:
		return string(v), nil
	case lua.LNumber:
		if v == lua.LNumber(int64(v)) {
			return int64(v), nil
		}
		return float64(v), nil
	case lua.LBool:
		return bool(v), nil
	case *lua.LTable:
		return tableToGo(v)
	}
	return nil, fmt.Errorf("%s cannot be in a configuration", describe(v))
}

func tableToGo(t *lua.LTable) (any, error) {
	var err error
	if n := t.Len(); n > 0 {
		list := make([]any, n)
		for i := range list {
			if list[i], err = toGo(t.RawGetInt(i + 1)); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	table := make(map[string]any)
	t.ForEach(func(key, value lua.LValue) {
		var item any
		if err == nil {
			item, err = toGo(value)
			table[key.String()] = item
		}
	})
	return table, err
}

// fromGo returns what was decoded from JSON, or an attribute of a log line.
func fromGo(L *lua.LState, v any) lua.LValue {
	switch v := v.(type) {
	case string:
		return lua.LString(v)
	case float64:
		return lua.LNumber(v)
	case int64:
		return lua.LNumber(v)
	case uint64:
		return lua.LNumber(v)
	case bool:
		return lua.LBool(v)
	case []any:
		t := L.NewTable()
		for _, item := range v {
			t.Append(fromGo(L, item))
		}
		return t
	case map[string]any:
		t := L.NewTable()
		for _, key := range slices.Sorted(maps.Keys(v)) {
			t.RawSetString(key, fromGo(L, v[key]))
		}
		return t
	case nil:
		return lua.LNil
	}
	return lua.LString(fmt.Sprint(v))
}

// decodeJSON returns what a text of JSON stands for.
func decodeJSON(L *lua.LState, text string) (lua.LValue, error) {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return lua.LNil, err
	}
	return fromGo(L, v), nil
}
