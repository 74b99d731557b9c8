package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// actAsProgram makes the test binary be the program itself.
const actAsProgram = "FWX_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(actAsProgram) != "" || isService() {
		main()
	}
	testscript.Main(verified{m}, map[string]func(){"fwx": main})
}

// verified runs the tests and then looks for goroutines that they left behind.
type verified struct{ m *testing.M }

func (v verified) Run() int {
	code := v.m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// TestScripts runs the command line against testdata/script.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"until": until},
		UpdateScripts: *updateScripts,
	})
}

var updateScripts = flag.Bool("update", false, "write what the program prints into the scripts")

// until is a command of scripts: it runs another until that succeeds and prints a text.
func until(ts *testscript.TestScript, _ bool, args []string) {
	const usage, command = 2, 1
	if len(args) < usage {
		ts.Fatalf("usage: until TEXT COMMAND [ARGUMENT...]")
	}
	text := args[0]
	for deadline := time.Now().Add(time.Minute); ts.Exec(args[command], args[command+1:]...) != nil || !strings.Contains(ts.ReadFile("stdout"), text); {
		if time.Now().After(deadline) {
			ts.Fatalf("it does not print %q", text)
		}
	}
}
