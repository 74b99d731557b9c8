package completion

import "golang.org/x/sys/unix"

// maxUnsent bounds the unsent data in the send buffer of a connection: data that does not fit
// into the peer's receive window yet.
const maxUnsent = 128 << 10

// boundUnsent sets this bound. Without it the system buffers megabytes for a peer that read
// quickly and then stopped, out of the memory that all TCP connections share.
func boundUnsent(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent) // every supported kernel has the option
}
