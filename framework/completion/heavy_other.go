//go:build unix && !linux && !darwin && !freebsd && !netbsd

package completion

// osThreadID names a thread of the process.
type osThreadID int

// osThread is unknown here.
func osThread() osThreadID { return 0 }
