package completion_test

import (
	"testing"

	"fwx/framework/completion/completiontest"
	"fwx/framework/fwxtest"
)

func TestMain(m *testing.M) { fwxtest.VerifyMain(m) }

// TestConformance runs the suite on every backend, as it is and with faults
// injected, and prints a table of how the rows ended.
func TestConformance(t *testing.T) {
	t.Parallel()
	var table completiontest.Table
	t.Cleanup(func() { t.Logf("\n%s", &table) })
	for _, setup := range completiontest.Setups() {
		t.Run(setup.String(), func(t *testing.T) {
			t.Parallel() // much of it waits
			setup.Run(t, &table)
		})
	}
}
