package completion

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

func truncateFile(fd int, size int64) error {
	return ignoringEINTR(func() error { return unix.Ftruncate(fd, size) })
}

func statFile(fd int) (os.FileInfo, error) {
	return os.Stat("/proc/self/fd/" + strconv.Itoa(fd))
}
