package completion

import "golang.org/x/sys/unix"

// osThreadID names a thread of the process.
type osThreadID uint64

func osThread() osThreadID {
	id, _, errno := unix.RawSyscall(unix.SYS_THREAD_SELFID, 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return osThreadID(id)
}
