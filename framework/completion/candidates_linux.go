//go:build !portable

package completion

// candidates returns the backends of this system in the order in which "auto"
// tries them.
func candidates() []backendChoice {
	return []backendChoice{
		{name: "io_uring", open: openUring},
		{name: "epoll", open: openEpoll},
		{name: "poll", open: openPoller},
	}
}
