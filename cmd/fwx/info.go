package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"text/tabwriter"

	"fwx/filters/all"
	"fwx/framework/completion"
	"fwx/framework/strict"
)

// runFilters lists the kinds of filter with their settings.
func runFilters(_ context.Context, p program, args []string) error {
	if err := p.parse("filters", args, noOptions); err != nil {
		return err
	}
	for _, f := range all.Registry().Factories() {
		fmt.Fprintf(p.out, "%s: %s\n", f.Kind, f.Summary)
		if f.Settings == nil {
			continue
		}
		table := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
		for _, setting := range strict.Describe(f.Settings()) {
			printSetting(table, setting)
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// printSetting prints the key of a setting, what it wants, its default and its doc.
func printSetting(w io.Writer, s strict.Setting) {
	preset := ""
	switch {
	case s.Required:
		preset = "required"
	case s.Default != "":
		preset = "default " + s.Default
	}
	fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", s.Key, s.Type, preset, s.Doc)
}

// runPort shows how the backends of the completion port do on this machine.
func runPort(_ context.Context, p program, args []string) error {
	if err := p.parse("port", args, noOptions); err != nil {
		return err
	}
	workers, chosen := runtime.GOMAXPROCS(0), "" // the ports of the probe take some more
	for _, r := range completion.Probe() {       //nolint:contextcheck // each self-test has its own limit
		verdict := "works"
		if r.Err != nil {
			verdict = "refused: " + r.Err.Error()
		} else if chosen == "" {
			chosen = r.Backend
		}
		fmt.Fprintf(p.out, "%-10s %s\n", r.Backend, verdict)
	}
	if chosen == "" {
		return errors.New("no backend of the completion port works on this machine")
	}
	fmt.Fprintf(p.out, "auto takes %s, with %d workers\n", chosen, workers)
	return nil
}

// runVersion prints the version that the Go tool stamped into the program.
func runVersion(_ context.Context, p program, args []string) error {
	if err := p.parse("version", args, noOptions); err != nil {
		return err
	}
	version, revision := "(devel)", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = " " + s.Value
			}
		}
	}
	fmt.Fprintf(p.out, "fwx %s%s %s %s/%s\n", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
