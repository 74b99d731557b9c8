package completion

import "golang.org/x/sys/unix"

// candidates returns the backends of this system in the order in which "auto"
// tries them.
func candidates() []backendChoice {
	return []backendChoice{
		{name: "io_uring", open: openUring},
		{name: "epoll", open: openEpoll},
	}
}

// selfTestPair returns the two ends of a connection.
func selfTestPair() ([2]int, error) {
	return unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
}
