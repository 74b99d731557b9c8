//go:build race

package completion

import "golang.org/x/sys/windows"

type threadID uint32

func currentThread() threadID { return threadID(windows.GetCurrentThreadId()) }
