//go:build unix

package completion

import "golang.org/x/sys/unix"

// maxPath is the longest path of a unix socket, which ends with a NUL.
const maxPath = len(unix.RawSockaddrUnix{}.Path) - 1
