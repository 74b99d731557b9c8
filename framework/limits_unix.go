//go:build unix

package framework

import "golang.org/x/sys/unix"

// defaultConnectionLimit is what the limit of open files allows: two for each
// connection, with some left for everything else.
func defaultConnectionLimit() int64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<24 {
		return 1 << 20
	}
	return max(int64(limit.Cur)*9/20, 16)
}
