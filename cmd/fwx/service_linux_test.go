package main

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// TestNotify has the program tell a service manager, which the test plays, when it
// is ready and when it ends.
func TestNotify(t *testing.T) {
	dir, err := os.MkdirTemp("", "fwx") //nolint:usetesting // the path of T.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // it is of the system's temporary files
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = manager.Close() }() // it is open
	if err := manager.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(dir, "notify"))
	expect := func(want string) {
		t.Helper()
		text := make([]byte, 1024)
		n, err := manager.Read(text)
		if err != nil || !regexp.MustCompile(want).Match(text[:n]) {
			t.Errorf("told %q, %v; want %s", text[:n], err, want)
		}
	}
	g := start(t, newDirectory(t))
	expect(`^READY=1\n$`)
	g.stop()
	expect(`^STOPPING=1\nEXTEND_TIMEOUT_USEC=[67][0-9]{7}\n$`) // "drain" is 10 s
}
