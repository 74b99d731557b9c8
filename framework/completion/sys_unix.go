//go:build unix

package completion

import (
	"golang.org/x/sys/unix"

	"fwx/framework/completion/internal/memory"
)

func closeFD(fd int) {
	if !memory.Close(fd) {
		_ = unix.Close(fd) // nothing can be done about a failure
	}
}

// claim keeps a descriptor that was just opened from child processes and sets it to
// non-blocking mode. The caller holds syscall.ForkLock.
func claim(fd int) {
	unix.CloseOnExec(fd)
	_ = unix.SetNonblock(fd, true) // it is open
}

func reserveMemory(size int) ([]byte, error) {
	return unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|mapNoReserve)
}

func releaseMemory(region []byte) { _ = unix.Munmap(region) } // mapped by reserveMemory

// commitMemory makes the memory of a buffer usable; here it always is.
func commitMemory([]byte) bool { return true }

// discardMemory gives the memory of a buffer back; it is zero when used again.
func discardMemory(mem []byte) {
	_ = unix.Madvise(mem, adviceDiscard) // only a matter of thrift
}
