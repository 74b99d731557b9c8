//go:build unix

package framework

import "syscall"

// errPeerReset is how the standard library reports a reset.
const errPeerReset = syscall.ECONNRESET
