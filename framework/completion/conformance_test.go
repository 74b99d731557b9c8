package completion_test

import (
	"testing"

	"fwx/framework/completion"
	"fwx/framework/completion/completiontest"
	"fwx/framework/fwxtest"
)

func TestMain(m *testing.M) { fwxtest.VerifyMain(m) }

func TestConformance(t *testing.T) {
	for _, backend := range completion.Backends() {
		t.Run(backend, func(t *testing.T) {
			completiontest.Run(t, func(tb testing.TB, options completion.Options) *completion.Port {
				tb.Helper()
				options.Backend = backend
				p, err := completion.New(options)
				if err != nil {
					tb.Fatal(err)
				}
				return p
			})
		})
	}
}
