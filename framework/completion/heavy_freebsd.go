package completion

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// osThreadID names a thread of the process.
type osThreadID int

func osThread() osThreadID {
	var id int                                                                       // a C long
	_, _, _ = unix.RawSyscall(unix.SYS_THR_SELF, uintptr(unsafe.Pointer(&id)), 0, 0) // on a failure it is still 0
	return osThreadID(id)
}
