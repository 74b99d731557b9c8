package scripting

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// errnoName returns the name of an error of the system, if it has one.
func errnoName(errno syscall.Errno) string { return unix.ErrnoName(errno) }
