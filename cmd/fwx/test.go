package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"fwx/scripting/testkit"
)

// testOptions are those of the command test.
type testOptions struct {
	verbose bool
	match   string
	junit   string
	timeout time.Duration
}

// runTest runs the tests of scripts.
func runTest(ctx context.Context, p program, args []string) error {
	var o testOptions
	paths, err := p.parseArguments("test", args, func(f *flag.FlagSet) {
		f.BoolVar(&o.verbose, "v", false, "tell of each test, and what it prints")
		f.StringVar(&o.match, "run", "", "run the tests whose names match a `REGEXP`")
		f.StringVar(&o.junit, "junit", "", "write the results to a `FILE` too, as the XML of JUnit")
		f.DurationVar(&o.timeout, "timeout", testkit.DefaultTimeout, "how long a test may take")
	})
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		paths = []string{"."}
	}
	match, err := regexp.Compile(o.match)
	if err != nil {
		fmt.Fprintf(p.err, "fwx test: -run: %v\n", err)
		return errUsage
	}
	files, err := testkit.Find(paths)
	if err != nil {
		fmt.Fprintf(p.err, "fwx test: %v\n", err)
		return errUsage
	}
	if len(files) == 0 {
		fmt.Fprintf(p.err, "fwx test: there are no tests in %s: the name of one ends in _test.lua\n", strings.Join(paths, ", "))
		return errUsage
	}
	report := testkit.NewReport(p.out, o.verbose)
	for _, file := range files {
		report.Add(testkit.Run(ctx, file, testkit.Options{Match: match, Timeout: o.timeout}))
	}
	if report.Empty() {
		fmt.Fprintf(p.err, "fwx test: -run: no test has a name that %q matches\n", o.match)
		return errUsage
	}
	passed := report.End()
	if o.junit != "" {
		if err := writeJUnit(o.junit, report); err != nil {
			return err
		}
	}
	if !passed {
		return errReported
	}
	return nil
}

func writeJUnit(path string, report *testkit.Report) error {
	f, err := os.Create(path) //nolint:gosec // the user says which file
	if err != nil {
		return err
	}
	return errors.Join(report.WriteJUnit(f), f.Close())
}
