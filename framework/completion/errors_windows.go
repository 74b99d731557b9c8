package completion

import (
	"errors"
	"syscall"

	"golang.org/x/sys/windows"
)

// systemErrors is what the errors of Windows are called here: by the names that
// other systems have for them, so that a user need not know both.
var systemErrors = map[syscall.Errno]error{
	windows.ERROR_HANDLE_EOF:          ErrHandleEOF,
	windows.ERROR_OPERATION_ABORTED:   ErrOperationAborted,
	windows.ERROR_INVALID_HANDLE:      syscall.EBADF,
	windows.ERROR_BROKEN_PIPE:         syscall.EPIPE,
	windows.ERROR_NO_DATA:             syscall.EPIPE,
	windows.ERROR_PIPE_NOT_CONNECTED:  syscall.EPIPE,
	windows.ERROR_DISK_FULL:           syscall.ENOSPC,
	windows.ERROR_NETNAME_DELETED:     syscall.ECONNRESET,
	windows.ERROR_CONNECTION_ABORTED:  syscall.ECONNRESET, // by this system: the peer has gone
	windows.ERROR_CONNECTION_REFUSED:  syscall.ECONNREFUSED,
	windows.ERROR_PORT_UNREACHABLE:    syscall.ECONNREFUSED,
	windows.ERROR_NETWORK_UNREACHABLE: syscall.ENETUNREACH,
	windows.ERROR_HOST_UNREACHABLE:    syscall.EHOSTUNREACH,
	windows.ERROR_SEM_TIMEOUT:         syscall.ETIMEDOUT,
	windows.WSAEBADF:                  syscall.EBADF,
	windows.WSAENOTSOCK:               syscall.ENOTSOCK,
	windows.WSAECONNRESET:             syscall.ECONNRESET,
	windows.WSAECONNABORTED:           syscall.ECONNRESET,
	windows.WSAENETRESET:              syscall.ECONNRESET,
	windows.WSAECONNREFUSED:           syscall.ECONNREFUSED,
	windows.WSAENETUNREACH:            syscall.ENETUNREACH,
	windows.WSAEHOSTUNREACH:           syscall.EHOSTUNREACH,
	windows.WSAETIMEDOUT:              syscall.ETIMEDOUT,
	windows.WSAEADDRINUSE:             syscall.EADDRINUSE,
	windows.WSAEADDRNOTAVAIL:          syscall.EADDRNOTAVAIL,
	windows.WSAEACCES:                 syscall.EACCES,
	windows.WSAEMFILE:                 syscall.EMFILE,
	windows.WSAENOBUFS:                syscall.ENOBUFS,
	windows.WSAENOTCONN:               syscall.ENOTCONN,
	windows.WSAEMSGSIZE:               syscall.EMSGSIZE,
	windows.ERROR_MORE_DATA:           syscall.EMSGSIZE, // as the end of an operation
	windows.WSAESHUTDOWN:              syscall.EPIPE,
	windows.WSAEINVAL:                 syscall.EINVAL,
}

// systemError gives an error of the system the name that it has here.
func systemError(err error) error {
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return err
	}
	if known := systemErrors[errno]; known != nil {
		return known
	}
	return errno
}

// wentAway is the failures of an accept that are about one connection, which
// ended before it was taken.
var wentAway = map[error]bool{
	syscall.ECONNRESET:          true,
	syscall.ENOTCONN:            true,
	syscall.EPIPE:               true,
	windows.ERROR_UNEXP_NET_ERR: true,
}

// failure is systemError for one of an operation on a descriptor.
func (o *Overlapped) failure(err error) error {
	known := systemError(err)
	switch {
	case o.op == opAccept && wentAway[known]:
		return syscall.ECONNABORTED
	case (o.op == opRecvFrom || o.op == opSendTo) && errors.Is(known, syscall.ECONNRESET):
		return syscall.ECONNREFUSED // the answer to a datagram that was sent before
	case o.op == opReadStream && errors.Is(known, syscall.EPIPE):
		return ErrHandleEOF // the writer has gone
	case errors.Is(known, windows.ERROR_ACCESS_DENIED):
		return syscall.EBADF // not open for this operation
	default:
		return known
	}
}
