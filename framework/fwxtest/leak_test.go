package fwxtest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"fwx/framework/fwxtest"
)

func TestMain(m *testing.M) { fwxtest.VerifyMain(m) }

// leakVariable tells a process that TestVerifyMain starts what to leave behind.
const leakVariable = "FWXTEST_LEAK"

// held keeps a leaked file reachable, so that no finalizer closes it.
var held *os.File

// leak leaves something behind on purpose.
func leak(t *testing.T, what string) {
	t.Helper()
	switch what {
	case "file", "failure":
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		held = f
		if what == "failure" {
			t.Error("failed on purpose")
		}
	case "goroutine":
		go func() { select {} }()
	}
}

func TestVerifyMain(t *testing.T) {
	if what := os.Getenv(leakVariable); what != "" {
		leak(t, what)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, leak string
		args       []string
		linux      bool // only where file descriptors are counted
		failed     bool
		says       string
		saysNot    string
	}{
		{name: "nothing", leak: "nothing", says: "PASS", saysNot: "fwxtest:"},
		{name: "file", leak: "file", linux: true, failed: true, says: "-> " + os.DevNull},
		{name: "goroutine", leak: "goroutine", failed: true, says: "fwxtest_test.leak"},
		{name: "failed test", leak: "failure", failed: true, says: "failed on purpose", saysNot: "fwxtest:"},
		{
			name: "profiles of the test itself", leak: "nothing", saysNot: "fwxtest:", says: "PASS",
			args: []string{"-test.cpuprofile=cpu.prof", "-test.trace=trace.out"},
		},
		{
			name: "profiles in a folder", leak: "nothing", saysNot: "fwxtest:", says: "PASS",
			args: []string{"-test.cpuprofile=cpu.prof", "-test.outputdir=profiles"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.linux && runtime.GOOS != "linux" {
				t.Skip("file descriptors are counted on Linux only")
			}
			args := append([]string{"-test.run=^TestVerifyMain$"}, test.args...)
			cmd := exec.CommandContext(t.Context(), self, args...)
			cmd.Env = append(os.Environ(), leakVariable+"="+test.leak)
			cmd.Dir = t.TempDir()
			if err := os.Mkdir(filepath.Join(cmd.Dir, "profiles"), 0o700); err != nil {
				t.Fatal(err)
			}
			out, err := cmd.CombinedOutput()
			if failed := err != nil; failed != test.failed {
				t.Errorf("failed = %t (%v), want %t", failed, err, test.failed)
			}
			if code := cmd.ProcessState.ExitCode(); test.failed && code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			if !strings.Contains(string(out), test.says) {
				t.Errorf("output lacks %q", test.says)
			}
			if test.saysNot != "" && strings.Contains(string(out), test.saysNot) {
				t.Errorf("output has %q", test.saysNot)
			}
			if t.Failed() {
				t.Logf("output:\n%s", out)
			}
		})
	}
}
