package fwxtest_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fwx/framework/fwxtest"
)

// recorder is a testing.TB that notes how the test under it ended.
type recorder struct {
	testing.TB
	skipped, failed string
}

func (r *recorder) Helper() {}

func (r *recorder) Skipf(format string, args ...any) {
	r.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failed = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// record runs a test function under a recorder.
func record(tb testing.TB, test func(tb testing.TB)) *recorder {
	tb.Helper()
	r := &recorder{TB: tb}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(r)
	}()
	<-done
	return r
}

func TestRequire(t *testing.T) {
	const missing = "fwx-no-such-program"
	there := "sh"
	if runtime.GOOS == "windows" {
		there = "cmd.exe"
	}
	tests := []struct {
		name, program, require string
		skipped, failed        bool
	}{
		{name: "there", program: there},
		{name: "there and required", program: there, require: "1"},
		{name: "missing", program: missing, skipped: true},
		{name: "missing, other value", program: missing, require: "0", skipped: true},
		{name: "missing and required", program: missing, require: "1", failed: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("FWX_REQUIRE", test.require)
			var path string
			r := record(t, func(tb testing.TB) {
				tb.Helper()
				path = fwxtest.Require(tb, test.program)
			})
			if got := r.skipped != ""; got != test.skipped {
				t.Errorf("skipped = %t (%q), want %t", got, r.skipped, test.skipped)
			}
			if got := r.failed != ""; got != test.failed {
				t.Errorf("failed = %t (%q), want %t", got, r.failed, test.failed)
			}
			if test.skipped || test.failed {
				if message := r.skipped + r.failed; !strings.Contains(message, missing) {
					t.Errorf("message %q does not name %q", message, missing)
				}
				return
			}
			if filepath.Base(path) != test.program {
				t.Errorf("path = %q", path)
			}
		})
	}
}

func TestEventually(t *testing.T) {
	after := func(d time.Duration) func() bool {
		start := time.Now()
		return func() bool { return time.Since(start) >= d }
	}
	tests := []struct {
		name    string
		timeout time.Duration
		comes   time.Duration
		failed  string
	}{
		{name: "at once", timeout: time.Second},
		{name: "at once, without time", timeout: 0},
		{name: "later", timeout: time.Second, comes: 500 * time.Millisecond},
		{name: "with the last look", timeout: time.Second, comes: time.Second},
		{name: "too late", timeout: time.Second, comes: 2 * time.Second, failed: "not within 1s: a guest came"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				cond := after(test.comes)
				r := record(t, func(tb testing.TB) {
					tb.Helper()
					fwxtest.Eventually(tb, test.timeout, "a guest came", cond)
				})
				if r.failed != test.failed {
					t.Errorf("failed = %q, want %q", r.failed, test.failed)
				}
				if took := time.Since(start); took > test.timeout {
					t.Errorf("took %v, more than %v", took, test.timeout)
				}
			})
		})
	}
}
