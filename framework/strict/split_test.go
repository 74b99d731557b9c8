package strict_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOnlyAndWithout(t *testing.T) {
	root := parse(t, "name = 'x'\nwieght = 1\nraw.a = 1\n")
	rest := root.Without("raw")
	if diff := cmp.Diff([]string{`c.toml:2:1: wieght: unknown key; did you mean "weight"?`}, report(rest.Decode(new(named)))); diff != "" {
		t.Errorf("Without: (-want +got)\n%s", diff)
	}
	only := root.Only("raw", "absent").Map()
	if diff := cmp.Diff(map[string]any{"raw": map[string]any{"a": int64(1)}}, only); diff != "" {
		t.Errorf("Only: (-want +got)\n%s", diff)
	}
	if !root.Has("raw") || !root.Has("name") {
		t.Error("the table itself has changed")
	}
}
