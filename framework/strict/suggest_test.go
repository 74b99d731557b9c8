package strict_test

import (
	"testing"

	"fwx/framework/strict"
)

func TestSuggest(t *testing.T) {
	settings := []string{"script", "kind", "name", "on_error", "filters", "upstream"}
	for _, test := range []struct {
		word  string
		known []string
		want  string
	}{
		{"scirpt", settings, `; did you mean "script"?`},
		{"SCRIPT", settings, `; did you mean "script"?`},
		{"scripts", settings, `; did you mean "script"?`},
		{"on-error", settings, `; did you mean "on_error"?`},
		{"onerror", settings, `; did you mean "on_error"?`},
		{"nam", settings, `; did you mean "name"?`},
		{"name2", settings, `; did you mean "name"?`},
		{"upsteams", settings, `; did you mean "upstream"?`},
		{"port", settings, `; expected filters, kind, name, on_error, script or upstream`},
		{"b", []string{"a"}, "; expected a"},
		{"", []string{"a", "b"}, "; expected a or b"},
		{"x", nil, ""},
		{"zzz", []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"}, ""},
	} {
		if got := strict.Suggest(test.word, test.known); got != test.want {
			t.Errorf("Suggest(%q) is %q, not %q", test.word, got, test.want)
		}
	}
}
