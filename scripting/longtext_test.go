package scripting

import (
	"strings"
	"testing"
)

// TestLongTexts sees that what a script writes to the log has a bound, whether it wants to
// write it or fails with it.
func TestLongTexts(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, body, want string }{
		{"an error", `error(long, 0)`, "script error"},
		{"an error of a function of the host", `fwx.log.info(long, {[long] = long}) error("x")`, "script error"},
		{"a denial", `return fwx.deny(long)`, "denied"},
		{"print", `print(long) error("x")`, "script error"},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := newGateway(t, anyBackend, `local long = ("x"):rep(2^24) function M.on_connect() `+row.body+` end`).start()
			if got, _ := g.exchange("abc"); got != "" {
				t.Errorf("got %q", got)
			}
			g.stop()
			log := g.log.String()
			if len(log) > 1<<20 || !strings.Contains(log, "... (16777216 bytes)") {
				t.Errorf("%d bytes are logged", len(log))
			}
		})
	}
	runSnippets(t, nil, []snippet{
		{"many values", `local t = {} for i = 1, 2000 do t["k" .. i] = i end fwx.log.info("x", t)`, "!at most 1000 values"},
	})
}
