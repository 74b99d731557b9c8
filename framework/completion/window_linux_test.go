//go:build !portable

package completion

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTransfersAsync(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		flag int
		want bool
	}{
		{name, unix.O_RDONLY, true},
		{name, unix.O_RDWR, true},
		{name, unix.O_WRONLY, true},
		{"/proc/self/status", unix.O_RDONLY, false},
		{"/proc/self/comm", unix.O_WRONLY, false},
	} {
		fd, err := unix.Open(test.name, test.flag|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := transfersAsync(fd); got != test.want {
			t.Errorf("%s, flag %d: %t", test.name, test.flag, got)
		}
		closeFD(fd)
	}
}
