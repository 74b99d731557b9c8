//go:build unix

package scripting

import (
	"testing"

	"golang.org/x/sys/unix"
)

func makeFIFO(tb testing.TB, path string) {
	tb.Helper()
	if err := unix.Mkfifo(path, 0o600); err != nil {
		tb.Fatal(err)
	}
}
