package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fwx/framework/fwxtest"
)

// TestFullDisk fills the disk under the audit log of a running gateway, and
// makes room again.
func TestFullDisk(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			dir := newDirectory(t, `"auto"`, `"`+backend+`"`)
			disk := filepath.Join(dir, "var")
			mountSmallDisk(t, disk)
			g := start(t, dir)
			get := func(n int) {
				t.Helper()
				for range n {
					response, err := g.do(http.MethodGet, "/bytes/100", nil)
					if err != nil {
						t.Fatal(err)
					}
					_ = response.Body.Close()
				}
			}
			get(1)
			g.awaitLines("var/audit.jsonl", 1)

			fill(t, filepath.Join(disk, "junk"))
			get(200) // the traffic goes on
			const full = "no space left on device"
			fwxtest.Eventually(t, time.Minute, "the full disk is in the log", func() bool { return strings.Contains(g.logged(), full) })
			if n := strings.Count(g.logged(), full); n > 20 {
				t.Errorf("%d log lines for one full disk", n)
			}

			if err := os.Remove(filepath.Join(disk, "junk")); err != nil {
				t.Fatal(err)
			}
			for _, line := range g.awaitLines("var/audit.jsonl", 201) { // nothing is lost
				parseAudit(t, line)
			}
			g.stop()
		})
	}
}

// mountSmallDisk mounts a file system of 128 KiB, which only root may do.
func mountSmallDisk(tb testing.TB, path string) {
	tb.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		tb.Fatal(err)
	}
	if err := unix.Mount("tmpfs", path, "tmpfs", 0, "size=128k"); err != nil {
		if os.Getenv("FWX_REQUIRE") == "1" {
			tb.Fatalf("mount a tmpfs: %v", err)
		}
		tb.Skipf("mount a tmpfs: %v; this test wants root", err)
	}
	tb.Cleanup(func() {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			tb.Error(err)
		}
	})
}

// fill writes a file until there is no room for more.
func fill(tb testing.TB, path string) {
	tb.Helper()
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = f.Close() }() // it is full
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
}
