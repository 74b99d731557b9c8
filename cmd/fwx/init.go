package main

import (
	"context"
	"fmt"

	"fwx/scripting/project"
)

// runInit writes a project to begin with.
func runInit(_ context.Context, p program, args []string) error {
	rest, err := p.parseArguments("init", args, noOptions)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		fmt.Fprintln(p.err, "fwx init: wants the folder to write the project into; see fwx init --help")
		return errUsage
	}
	paths, err := project.Write(rest[0])
	if err != nil {
		return fmt.Errorf("init: %w", err)
	}
	for _, path := range paths {
		fmt.Fprintln(p.out, path)
	}
	fmt.Fprintf(p.out, "\nNow: cd %s && fwx test && fwx run\n", rest[0])
	return nil
}
