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
	var table completiontest.Table
	for _, setup := range completiontest.Setups() {
		t.Run(setup.String(), func(t *testing.T) { setup.Run(t, &table) })
	}
	t.Logf("\n%s", &table)
}
