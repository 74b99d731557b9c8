package framework

import (
	"testing"
	"time"

	"fwx/framework/completion"
	"fwx/framework/fwxtest"
)

func TestMain(m *testing.M) { fwxtest.VerifyMain(m) }

// patience is how long a test waits for what must come.
const patience = 2 * time.Minute

// backends are those that every test with a socket runs on.
var backends = completion.Backends()

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	fwxtest.Eventually(t, patience, what, cond)
}

// must returns v, or fails the test.
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		check(t, err)
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
