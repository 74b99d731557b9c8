//go:build !windows

package balance

import (
	"syscall"

	"fwx/framework/completion"
)

// localErrors are those of connecting that are about this machine.
var localErrors = []error{
	completion.ErrTooManyOperations, completion.ErrPortClosed,
	syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL,
}
