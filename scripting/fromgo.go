package scripting

import (
	"fmt"
	"time"

	lua "github.com/yuin/gopher-lua"
)

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
	t.Metatable = s.array
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
	t := s.L.CreateTable(0, len(values))
	for key, value := range values {
		v, err := s.fromGo(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		t.RawSetString(key, v)
	}
	return t, nil
}
