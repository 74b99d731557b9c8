package scripting

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fwx/framework/fwxtest"
)

// TestAgainstLua compares the string library with that of the lua5.1 program.
func TestAgainstLua(t *testing.T) {
	const script = "testdata/differential.lua"
	lua := fwxtest.Require(t, "lua5.1")
	want, err := exec.CommandContext(t.Context(), lua, "-e", `io.write(dofile("`+script+`"))`).Output()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, "auto", func(s *Settings) { s.Budget = 1 << 40 })
	got, err := b.run(string(source))
	if err != nil {
		t.Fatal(err)
	}
	wanted, lines := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	if len(wanted) != len(lines) {
		t.Fatalf("%d lines, not %d", len(lines), len(wanted))
	}
	differ := 0
	for i := range lines {
		if lines[i] != wanted[i] && differ < 20 {
			differ++
			t.Errorf("line %d: %s", i+1, cmp.Diff(wanted[i], lines[i]))
		}
	}
	t.Logf("%d calls", len(lines))
}
