package fields

import (
	"errors"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"
)

func TestRead(t *testing.T) {
	L := lua.NewState()
	defer L.Close()
	L.SetGlobal("object", &lua.LUserData{Value: "text"})
	L.SetGlobal("other", &lua.LUserData{Value: 7})
	rule := Rule{
		Reserved: []string{"host"}, Why: "is not set here", Max: 4,
		Text: func(v *lua.LUserData) (string, bool) {
			text, ok := v.Value.(string)
			return text, ok
		},
	}
	for _, test := range []struct{ table, want, wrong string }{
		{`{}`, "", ""},
		{`{B = "2", a = "1", C = 3}`, "a: 1|B: 2|C: 3", ""},
		{`{["Set-Cookie"] = {"a=1", "b=2", 0.5}, A = object}`, "A: text|Set-Cookie: a=1|Set-Cookie: b=2|Set-Cookie: 0.5", ""},
		{`{A = {}, B = ""}`, "B: ", ""},
		{`"x"`, "", "a table of headers expected"},
		{`{"A: 1"}`, "", "a table of headers expected"},
		{`{["X-A"] = "1", ["x-a"] = "2"}`, "", "headers X-A and x-a are one header in two spellings"},
		{`{["A b"] = "1"}`, "", `"A b" is not the name of a header`},
		{`{[""] = "1"}`, "", `"" is not the name of a header`},
		{`{Host = "a"}`, "", "Host is a header that is not set here"},
		{`{A = true}`, "", "header A: wants a string, a number, or a list of them, got a boolean"},
		{`{A = {"1", {}}}`, "", "header A: wants a string, a number, or a list of them, got a table"},
		{`{A = {b = "1"}}`, "", "header A: a list of values expected, got a table with other keys"},
		{`{A = other}`, "", "header A: wants a string, a number, or a list of them, got an object"},
		{`{A = 0/0}`, "", "header A: wants a string, a number, or a list of them, got"},
		{`{A = "a\r\nB: c"}`, "", `header A: wants a value without control characters, got "a\r\nB: c"`},
		{`{A = ("\0"):rep(1000)}`, "", "header A: wants a value without control characters"},
		{`{A = {1, 2, 3}, B = {1, 2}}`, "", "too many headers: there may be 4"},
		{`{A = {1, 2, 3, 4, 5}}`, "", "too many headers: there may be 4"},
	} {
		if err := L.DoString("value = " + test.table); err != nil {
			t.Fatal(err)
		}
		list, err := rule.Read(L.GetGlobal("value"))
		lines := make([]string, len(list))
		for i, f := range list {
			lines[i] = f.Name + ": " + f.Value
		}
		wrong := ""
		if err != nil {
			wrong = err.Error()
		}
		if got := strings.Join(lines, "|"); got != test.want || !strings.HasPrefix(wrong, test.wrong) || (test.wrong == "") != (err == nil) {
			t.Errorf("%s is %q, error %q; want %q, error %q", test.table, got, wrong, test.want, test.wrong)
		}
		if many := strings.HasPrefix(test.wrong, "too many"); errors.Is(err, ErrTooMany) != many {
			t.Errorf("%s: ErrTooMany is %v", test.table, !many)
		}
	}
}

// TestLines looks at a table that has lines too.
func TestLines(t *testing.T) {
	L := lua.NewState()
	defer L.Close()
	if err := L.DoString(`value = {"A: 1", B = "2"}`); err != nil {
		t.Fatal(err)
	}
	list, err := Rule{Lines: true}.Read(L.GetGlobal("value"))
	if err != nil || len(list) != 1 || list[0].Name != "B" {
		t.Errorf("read %v, %v; want the header B", list, err)
	}
}
