package main

import (
	"os/exec"

	"golang.org/x/sys/windows/svc"
)

// isService reports whether TestService has made a service of this process.
func isService() bool {
	is, err := svc.IsWindowsService()
	return err == nil && is
}

// interrupt ends the program, because without a console it cannot be asked to.
// TestRun sees it end by itself.
func interrupt(process *exec.Cmd) (asked bool, err error) { return false, process.Process.Kill() }
