package scripting

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fwx/framework/fwxtest"
)

// TestChunkOutlastsHandler has a timer write a chunk whose handler returns while
// the write is under way: what is written must be what the chunk was.
func TestChunkOutlastsHandler(t *testing.T) {
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		g := newGateway(t, backend, `
			local n, file = 0, nil
			function M.on_init() file = assert(fwx.file.open("var/kept", "w")) end
			function M.on_data(conn, chunk, direction)
				if direction ~= "upstream" then return end
				local offset = n * #chunk
				n = n + 1
				-- Both are due at once, the write first.
				fwx.after(0.001, function() assert(file:write(offset, chunk)) end)
				fwx.sleep(0.001)
			end`, func(s *Settings) { s.Allow.Write = []string{"var/"} }).start()
		var all strings.Builder
		for _, letter := range []string{"A", "B", "C", "D"} {
			text := strings.Repeat(letter, 1000)
			all.WriteString(text)
			if got, err := g.exchange(text); got != text || err != nil {
				t.Fatalf("got %q, %v", got, err)
			}
		}
		want, path := all.String(), filepath.Join(g.dir, "var", "kept")
		fwxtest.Eventually(t, patience, "all chunks are written", func() bool {
			kept, err := os.ReadFile(path)
			return err == nil && len(kept) == len(want)
		})
		if kept, err := os.ReadFile(path); err != nil || string(kept) != want {
			t.Errorf("written %q, %v", kept, err)
		}
		g.stop()
	})
}
