package balance

import (
	"golang.org/x/sys/windows"

	"fwx/framework/completion"
)

// localErrors are those of connecting that are about this machine.
var localErrors = []error{
	completion.ErrTooManyOperations, completion.ErrPortClosed,
	windows.WSAEMFILE, windows.WSAENOBUFS, windows.WSAEADDRNOTAVAIL, windows.ERROR_NOT_ENOUGH_MEMORY,
}
