//go:build unix

package scripting

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLinks(t *testing.T) {
	runSnippets(t, func(b *bench) {
		b.write("secret.txt", "secret")
		for link, target := range map[string]string{"read/out": "../secret.txt", "read/up": ".."} {
			if err := os.Symlink(target, filepath.Join(b.dir, link)); err != nil {
				b.tb.Fatal(err)
			}
		}
	}, []snippet{
		{"link to a file", `local s, err, code = fwx.file.read("read/out") return code .. ": " .. err`, "denied: open read/out: it leads out of what [filter.allow] names"},
		{"link to a directory", `local s, err, code = fwx.file.read("read/up/secret.txt") return code`, "denied"},
		{"stat through a link", `local s, err, code = fwx.file.stat("read/out") return code`, "denied"},
	})
}
