//go:build unix

package scripting

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// errnoName returns the name of an error of the system, if it has one.
func errnoName(errno syscall.Errno) string { return unix.ErrnoName(errno) }

// folderFlags open a directory to be listed, and nothing else.
const folderFlags = os.O_RDONLY | unix.O_DIRECTORY | unix.O_NONBLOCK
