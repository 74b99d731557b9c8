package completion

import "golang.org/x/sys/unix"

// maxUnsent is how much the system keeps of what was sent on a connection and that the peer
// has given it no leave to put on its way.
const maxUnsent = 128 << 10

// boundUnsent sets that bound. Without it the system takes megabytes for a peer that was fast
// and then reads nothing, of the memory that it has for all of TCP.
func boundUnsent(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent) // every kernel that is supported has it
}
