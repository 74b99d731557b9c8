//go:build race

package completion

import "golang.org/x/sys/unix"

type threadID int

func currentThread() threadID { return threadID(unix.Gettid()) }
