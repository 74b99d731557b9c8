package completion

import "golang.org/x/sys/windows"

// maxPath is the longest path of a unix socket, which ends with a NUL.
const maxPath = len(windows.RawSockaddrUnix{}.Path) - 1
