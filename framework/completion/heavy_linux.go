package completion

import "golang.org/x/sys/unix"

// osThreadID names a thread of the process.
type osThreadID int

func osThread() osThreadID { return osThreadID(unix.Gettid()) }
