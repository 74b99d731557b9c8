package completion_test

import (
	"testing"

	"fwx/framework/completion"
)

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func overlappedFor(w *completion.Worker, notify completion.ExternalIOCompletion) *completion.Overlapped {
	o := w.CreateOverlapped()
	must(o.SetNotificationInterface(notify, nil))
	return o
}
