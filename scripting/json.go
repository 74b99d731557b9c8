package scripting

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"
)

var jsonFunctions = []binding{
	{
		"encode", jsonEncode, "(value: any) -> string or fail",
		"`fwx.json.encode({ id = conn.id })` gives `{\"id\":7}`. `\"error\"`: a value has no form in JSON.",
	},
	{
		"decode", jsonDecode, "(text: bytes) -> any or fail",
		"`fwx.json.decode('{\"a\":[1,null]}')`. `\"error\"`: the text is not JSON.",
	},
}

var jsonFields = []binding{{
	"null", func(s *state, L *lua.LState) int { return give(L, s.null) }, "verdict",
	"Null, which a table can hold. It counts as true: compare with `==`.",
}}

// null is fwx.json.null, which a table can hold where nil cannot.
type null struct{}

// maxJSONDepth bounds how deep values may be nested, in either direction.
const maxJSONDepth = 100

func jsonEncode(s *state, L *lua.LState) int {
	e := encoder{state: s}
	if err := e.value(L.CheckAny(1), 0); err != nil {
		return giveError(L, fmt.Errorf("json.encode: %w", err))
	}
	return s.giveBytes(L, e.out)
}

// encoder writes a value as JSON. The keys of an object are in order, so that the
// same value is always the same text.
type encoder struct {
	state *state
	out   []byte
	above []*lua.LTable // the tables around the one at hand
}

func (e *encoder) value(v lua.LValue, depth int) error {
	e.state.meter.charge(1)
	switch v := v.(type) {
	case *lua.LNilType:
		e.out = append(e.out, "null"...)
	case lua.LBool:
		e.out = strconv.AppendBool(e.out, bool(v))
	case lua.LNumber:
		return e.number(float64(v))
	case lua.LString:
		e.text(string(v))
	case *lua.LTable:
		return e.table(v, depth)
	case *lua.LUserData:
		return e.object(v)
	default:
		return fmt.Errorf("%s has no form in JSON", describe(v))
	}
	return e.checkSize()
}

func (e *encoder) checkSize() error {
	if len(e.out) > maxStringSize || e.state.meter.left < 0 {
		return errors.New("the result is too large")
	}
	return nil
}

func (e *encoder) object(v *lua.LUserData) error {
	switch v := v.Value.(type) {
	case null:
		e.out = append(e.out, "null"...)
	case *chunk:
		if !v.valid {
			return errors.New("the chunk is no longer valid")
		}
		e.text(string(v.data))
	default:
		return errors.New("an object has no form in JSON")
	}
	return e.checkSize()
}

func (e *encoder) number(v float64) error {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("the number %v has no form in JSON", v)
	}
	if v == math.Trunc(v) && math.Abs(v) < maxExact {
		e.out = strconv.AppendInt(e.out, int64(v), 10)
		return nil
	}
	e.out = strconv.AppendFloat(e.out, v, 'g', -1, 64)
	return nil
}

const hexDigits = "0123456789abcdef"

// text writes a string. What is no UTF-8 becomes U+FFFD, as JSON has nothing for it.
func (e *encoder) text(s string) {
	e.state.meter.chargeBytes(len(s))
	e.out = append(e.out, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			e.ascii(c)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		e.out = utf8.AppendRune(e.out, r)
		i += size
	}
	e.out = append(e.out, '"')
}

func (e *encoder) ascii(c byte) {
	switch {
	case c == '"' || c == '\\':
		e.out = append(e.out, '\\', c)
	case c == '\n':
		e.out = append(e.out, `\n`...)
	case c == '\r':
		e.out = append(e.out, `\r`...)
	case c == '\t':
		e.out = append(e.out, `\t`...)
	case c < ' ' || c == 0x7f:
		e.out = append(e.out, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
	default:
		e.out = append(e.out, c)
	}
}

func (e *encoder) table(t *lua.LTable, depth int) error {
	if depth >= maxJSONDepth {
		return fmt.Errorf("nested deeper than %d", maxJSONDepth)
	}
	if slices.Contains(e.above, t) {
		return errors.New("a table contains itself")
	}
	e.above = append(e.above, t)
	defer func() { e.above = e.above[:len(e.above)-1] }()
	keys, err := keysOf(t)
	if err != nil {
		return err
	}
	if n := t.Len(); n > 0 {
		if len(keys) > 0 {
			return fmt.Errorf("a table has both a list and the key %q", keys[0])
		}
		return e.list(t, n, depth)
	}
	return e.fields(t, keys, depth)
}

// keysOf returns the keys of a table that are strings, in order.
func keysOf(t *lua.LTable) (keys []string, err error) {
	n, numbers := t.Len(), 0
	t.ForEach(func(key, _ lua.LValue) {
		switch k := key.(type) {
		case lua.LString:
			keys = append(keys, string(k))
		case lua.LNumber:
			numbers++
			if k < 1 || k > lua.LNumber(n) || k != lua.LNumber(int(k)) {
				err = fmt.Errorf("the key %v of a table is not one of a list", k)
			}
		default:
			err = fmt.Errorf("%s is the key of a table", describe(key))
		}
	})
	if err == nil && numbers < n {
		err = errors.New("a list has holes")
	}
	slices.Sort(keys)
	return keys, err
}

func (e *encoder) list(t *lua.LTable, n, depth int) error {
	e.out = append(e.out, '[')
	for i := 1; i <= n; i++ {
		if i > 1 {
			e.out = append(e.out, ',')
		}
		if err := e.value(t.RawGetInt(i), depth+1); err != nil {
			return err
		}
	}
	e.out = append(e.out, ']')
	return nil
}

func (e *encoder) fields(t *lua.LTable, keys []string, depth int) error {
	e.out = append(e.out, '{')
	for i, key := range keys {
		if i > 0 {
			e.out = append(e.out, ',')
		}
		e.text(key)
		e.out = append(e.out, ':')
		if err := e.value(t.RawGetString(key), depth+1); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	e.out = append(e.out, '}')
	return nil
}

func jsonDecode(s *state, L *lua.LState) int {
	text := argBytes(L, 1)
	s.meter.chargeBytes(8 * len(text))
	v, err := decodeJSON(s, text)
	if err != nil {
		return giveError(L, fmt.Errorf("json.decode: %w", err))
	}
	return give(L, v)
}

// decodeJSON decodes a text that is one value.
func decodeJSON(s *state, text []byte) (lua.LValue, error) {
	d := decoder{state: s, json: json.NewDecoder(bytes.NewReader(text))}
	v, err := d.value(0)
	if err == nil {
		if _, more := d.json.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the value")
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the text ends within the value")
	}
	return v, err
}

// decoder reads a value from JSON.
type decoder struct {
	state *state
	json  *json.Decoder
}

func (d *decoder) value(depth int) (lua.LValue, error) {
	token, err := d.json.Token()
	if err != nil {
		return nil, err
	}
	switch v := token.(type) {
	case bool:
		return lua.LBool(v), nil
	case float64:
		return lua.LNumber(v), nil
	case string:
		return lua.LString(v), nil
	case json.Delim:
		if depth >= maxJSONDepth {
			return nil, fmt.Errorf("nested deeper than %d", maxJSONDepth)
		}
		if v == '[' {
			return d.list(depth)
		}
		return d.fields(depth)
	}
	return d.state.null, nil
}

func (d *decoder) list(depth int) (lua.LValue, error) {
	t := d.state.L.NewTable()
	for d.json.More() {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		t.Append(v)
	}
	_, err := d.json.Token() // the bracket
	return t, err
}

func (d *decoder) fields(depth int) (lua.LValue, error) {
	t := d.state.L.NewTable()
	for d.json.More() {
		key, err := d.json.Token()
		if err != nil {
			return nil, err
		}
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if name, ok := key.(string); ok {
			t.RawSetString(name, v)
		}
	}
	_, err := d.json.Token() // the brace
	return t, err
}

// fromGo makes a Lua value of a value of the configuration.
func (s *state) fromGo(value any) (lua.LValue, error) {
	switch v := value.(type) {
	case nil:
		return lua.LNil, nil
	case string:
		return lua.LString(v), nil
	case bool:
		return lua.LBool(v), nil
	case int:
		return lua.LNumber(v), nil
	case int64:
		return lua.LNumber(v), nil
	case float64:
		return lua.LNumber(v), nil
	case time.Time:
		return lua.LString(v.Format(time.RFC3339Nano)), nil
	case []any:
		return s.listFromGo(v)
	case map[string]any:
		return s.tableFromGo(v)
	}
	return nil, fmt.Errorf("a value of type %T cannot be given to a script", value)
}

func (s *state) listFromGo(values []any) (lua.LValue, error) {
	t := s.L.CreateTable(len(values), 0)
	for _, value := range values {
		v, err := s.fromGo(value)
		if err != nil {
			return nil, err
		}
		t.Append(v)
	}
	return t, nil
}

func (s *state) tableFromGo(values map[string]any) (lua.LValue, error) {
	t := s.L.NewTable()
	for key, value := range values {
		v, err := s.fromGo(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		t.RawSetString(key, v)
	}
	return t, nil
}
