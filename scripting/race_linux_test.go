package scripting

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPathRace has a directory and a link that leads out change places while a script
// reads beneath it, over and over.
func TestPathRace(t *testing.T) {
	b := newBench(t, anyBackend)
	b.write("secret/file", "secret")
	b.write("read/dir/file", "open")
	if err := os.Symlink("../secret", filepath.Join(b.dir, "read/link")); err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
				err := unix.Renameat2(unix.AT_FDCWD, filepath.Join(b.dir, "read/dir"), unix.AT_FDCWD, filepath.Join(b.dir, "read/link"), unix.RENAME_EXCHANGE)
				if err != nil {
					done <- err
					return
				}
			}
		}
	}()
	got, err := b.run(`
		local opened, refused = 0, 0
		repeat
			local s = fwx.file.read("read/dir/file")
			if s == "open" then opened = opened + 1 elseif s == nil then refused = refused + 1 else return s end
		until opened > 500 and refused > 500
		return "never"`)
	close(stop)
	if got != "never" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
