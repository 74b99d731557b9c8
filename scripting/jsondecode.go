package scripting

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	lua "github.com/yuin/gopher-lua"
)

// decodeJSON decodes a text that is one value.
func decodeJSON(s *state, text []byte) (lua.LValue, error) {
	d := decoder{state: s, json: json.NewDecoder(bytes.NewReader(text))}
	s.decoding = &d // what it has made so far counts as the script's
	defer func() { s.decoding = nil }()
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

// decoder reads a value from JSON. It gathers the elements of a table before it makes the
// table, so that each one has the size it needs, and pays for what it reads and makes as
// it goes along.
type decoder struct {
	state *state
	json  *json.Decoder
	read  int64        // how far the text has been paid for
	open  []lua.LValue // the elements of the tables that have not been made, the innermost last
}

// count counts what the decoder has made so far.
func (d *decoder) count(c *census) {
	c.bytes += valueBytes * int64(cap(d.open))
	c.add(d.open...)
}

const (
	// jsonCost is what a value counts as.
	jsonCost = 8
	// jsonBytes is how much of a text is read in the time of an instruction.
	jsonBytes = 8
)

// token returns the next token, which is paid for.
func (d *decoder) token() (json.Token, error) {
	token, err := d.json.Token()
	if err != nil {
		return nil, err
	}
	begin := d.read
	d.read = d.json.InputOffset()
	return token, d.state.meter.pay(jsonCost + int(d.read-begin)/jsonBytes)
}

func (d *decoder) value(depth int) (lua.LValue, error) {
	token, err := d.token()
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
	first := len(d.open)
	for d.json.More() {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		d.open = append(d.open, v)
	}
	if _, err := d.token(); err != nil { // the bracket
		return nil, err
	}
	t := d.state.L.CreateTable(len(d.open)-first, 0)
	t.Metatable = d.state.array
	for _, v := range d.open[first:] {
		t.Append(v)
	}
	d.forget(first)
	return t, nil
}

func (d *decoder) fields(depth int) (lua.LValue, error) {
	first := len(d.open)
	for d.json.More() {
		key, err := d.token()
		if err != nil {
			return nil, err
		}
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if name, ok := key.(string); ok {
			d.open = append(d.open, lua.LString(name), v)
		}
	}
	if _, err := d.token(); err != nil { // the brace
		return nil, err
	}
	t := d.state.L.CreateTable(0, (len(d.open)-first)/2)
	for i := first; i < len(d.open); i += 2 {
		t.RawSet(d.open[i], d.open[i+1])
	}
	d.forget(first)
	return t, nil
}

// forget drops the elements of a table that has been made.
func (d *decoder) forget(first int) {
	clear(d.open[first:])
	d.open = d.open[:first]
}
