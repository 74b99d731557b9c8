package fwxtest

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// descriptorGrace is how long after the tests a file descriptor may stay open.
const descriptorGrace = 2 * time.Second

// VerifyMain runs the tests of a package and ends the process. If they pass, it fails
// the run, with exit code 1, for every goroutine and (on Linux) every file descriptor
// that the tests left behind; the message shows the goroutine's stack, or where the
// descriptor leads.
func VerifyMain(m *testing.M) {
	// The runtime opens its epoll set and eventfd with the first descriptor that it
	// polls. With that done before the first look, an epoll set or eventfd that shows up
	// later is a leak like any other.
	if err := startNetpoller(); err != nil {
		fmt.Fprintf(os.Stderr, "fwxtest: the runtime's poller did not start: %v\n", err)
		os.Exit(1)
	}
	before := openDescriptors()
	goleak.VerifyTestMain(m, goleak.Cleanup(func(exitCode int) {
		if exitCode == 0 {
			if report := leakReport(before); report != "" {
				fmt.Fprint(os.Stderr, report)
				exitCode = 1
			}
		}
		os.Exit(exitCode)
	}))
}

// startNetpoller makes the runtime open the descriptors that its own poller needs.
func startNetpoller() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	if err := r.Close(); err != nil {
		return err
	}
	return w.Close()
}

// leakReport waits until no descriptor is open that before lacks, and names those that
// stay.
func leakReport(before map[int]string) string {
	var left map[int]string
	gone := poll(descriptorGrace, func() bool {
		left = leakedDescriptors(before)
		return len(left) == 0
	})
	if gone {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "fwxtest: the tests left %d file descriptor(s) open:\n", len(left))
	for _, fd := range slices.Sorted(maps.Keys(left)) {
		fmt.Fprintf(&b, "\t%d -> %s\n", fd, left[fd])
	}
	return b.String()
}

// leakedDescriptors returns what is open now and was not in before: a new number, or an
// old one that leads elsewhere.
func leakedDescriptors(before map[int]string) map[int]string {
	profiles := profilePaths()
	now := openDescriptors()
	maps.DeleteFunc(now, func(fd int, link string) bool {
		return before[fd] == link || slices.Contains(profiles, link)
	})
	return now
}

// openDescriptors returns the open file descriptors above standard error and where each
// leads. It returns nothing where there is no /proc/self/fd.
func openDescriptors() map[int]string {
	const folder = "/proc/self/fd"
	open := make(map[int]string)
	if runtime.GOOS != "linux" {
		return open
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return open
	}
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil || fd <= 2 {
			continue
		}
		link, err := os.Readlink(filepath.Join(folder, entry.Name()))
		if err != nil {
			continue // Closed since: the folder's own descriptor, for one.
		}
		open[fd] = strings.TrimSuffix(link, " (deleted)")
	}
	return open
}

// profilePaths returns the files that package testing itself opens and never closes.
func profilePaths() []string {
	var paths []string
	for _, name := range []string{"test.cpuprofile", "test.trace"} {
		f := flag.Lookup(name)
		if f == nil || f.Value.String() == "" {
			continue
		}
		path := f.Value.String()
		if dir := flag.Lookup("test.outputdir"); dir != nil && !filepath.IsAbs(path) {
			path = filepath.Join(dir.Value.String(), path)
		}
		if absolute, err := filepath.Abs(path); err == nil {
			paths = append(paths, absolute)
		}
	}
	return paths
}
