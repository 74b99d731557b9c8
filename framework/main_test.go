package framework

import (
	"testing"
	"time"

	"fwx/framework/completion"
	"fwx/framework/fwxtest"
)

func TestMain(m *testing.M) { fwxtest.VerifyMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// onBackends runs a test once on each backend.
func onBackends(t *testing.T, test func(t *testing.T, backend string)) {
	t.Helper()
	for _, backend := range completion.Backends() {
		t.Run(backend, func(t *testing.T) { test(t, backend) })
	}
}

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
