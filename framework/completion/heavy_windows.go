package completion

import "golang.org/x/sys/windows"

// osThreadID names a thread of the process.
type osThreadID uint32

func osThread() osThreadID { return osThreadID(windows.GetCurrentThreadId()) }
