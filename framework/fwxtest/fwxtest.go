package fwxtest

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// requireVariable names the environment variable that turns a skip for want of a
// program into a failure.
const requireVariable = "FWX_REQUIRE"

// Require returns the path of program. Where it is missing the test is skipped, or
// fails if the environment variable FWX_REQUIRE is 1. With arguments it is missing, too,
// if it fails when it is run with them.
func Require(tb testing.TB, program string, args ...string) string {
	tb.Helper()
	path, err := exec.LookPath(program)
	if err == nil && len(args) > 0 {
		err = exec.CommandContext(tb.Context(), path, args...).Run() //nolint:gosec // What the test says.
	}
	switch {
	case err == nil:
	case os.Getenv(requireVariable) == "1":
		tb.Fatalf("this test needs %s, and %s=1 forbids skipping it: %v", program, requireVariable, err)
	default:
		tb.Skipf("this test needs %s: %v", program, err)
	}
	return path
}

// Eventually waits until cond reports true and fails the test if that takes longer than
// timeout; what completes the sentence "not within 5s: …". It looks again every few
// milliseconds and once more at the end, and calls cond on the goroutine of the caller,
// which must be that of the test.
func Eventually(tb testing.TB, timeout time.Duration, what string, cond func() bool) {
	tb.Helper()
	if !poll(timeout, cond) {
		tb.Fatalf("not within %v: %s", timeout, what)
	}
}

// poll calls cond until it reports true or the time is up, with pauses that grow from
// 1 ms to 16 ms, and returns its last answer.
func poll(timeout time.Duration, cond func() bool) bool {
	const longest = 16 * time.Millisecond
	deadline := time.Now().Add(timeout)
	for pause := time.Millisecond; ; pause = min(2*pause, longest) {
		if cond() {
			return true
		}
		left := time.Until(deadline)
		if left <= 0 {
			return false
		}
		time.Sleep(min(pause, left))
	}
}
