//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

func isService() bool { return false }

// interrupt asks the program to end; false: it has been ended.
func interrupt(process *exec.Cmd) (asked bool, err error) {
	return true, process.Process.Signal(syscall.SIGTERM)
}
