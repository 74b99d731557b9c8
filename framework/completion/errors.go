package completion

import "errors"

// The errors that an operation of the port can return or complete with,
// besides those of the operating system (which arrive as syscall.Errno).
var (
	// ErrHandleEOF completes a file read at or behind the end of the file
	// (ERROR_HANDLE_EOF, 38). A short read before it is a success.
	ErrHandleEOF = errors.New("end of file")
	// ErrOperationAborted completes an operation that was cancelled, or whose
	// handle was closed, before it took effect (ERROR_OPERATION_ABORTED, 995).
	ErrOperationAborted = errors.New("operation aborted")
	// ErrNotFound answers a cancel for which nothing is in flight (ERROR_NOT_FOUND, 1168).
	ErrNotFound = errors.New("no operation to cancel")
	// ErrBusy refuses a start, or a change of notification, on an overlapped
	// that is in flight.
	ErrBusy = errors.New("overlapped is in flight")
	// ErrNoNotification refuses the use of an overlapped before SetNotificationInterface.
	ErrNoNotification = errors.New("overlapped has no notification interface")
	// ErrAlreadyHooked refuses to hook a descriptor a second time.
	ErrAlreadyHooked = errors.New("descriptor is already hooked to a completion port")
	// ErrHandleClosed refuses an operation on a closed handle.
	ErrHandleClosed = errors.New("handle is closed")
	// ErrPortClosed refuses a start or a task after Shutdown.
	ErrPortClosed = errors.New("completion port is shut down")
	// ErrOnWorker refuses what waits for a worker when it is called on a worker of
	// the same port, which would wait for itself.
	ErrOnWorker = errors.New("called on a worker, which it would wait for")
	// ErrInvalidArgument refuses a negative offset, an empty buffer, or an
	// overlapped of another worker.
	ErrInvalidArgument = errors.New("invalid argument")
	// ErrTooManyOperations refuses a start beyond Options.MaxOperations.
	ErrTooManyOperations = errors.New("too many operations in flight")
	// ErrTruncated completes the receive of a datagram that is larger than a buffer.
	ErrTruncated = errors.New("datagram is larger than the receive buffer")
	// ErrAlreadyInBlockingOp answers a StartHeavyBlockingOperation within
	// another (FWX_E_ALREADY_IN_BLOCKING_OP). It wants its End all the same.
	ErrAlreadyInBlockingOp = errors.New("already in a blocking operation")
	// ErrNotInBlockingOp answers an EndHeavyBlockingOperation without a Start
	// (FWX_E_NOT_IN_BLOCKING_OP).
	ErrNotInBlockingOp = errors.New("not in a blocking operation")
	errNotDirectory    = errors.New("not a directory")
	errEscapes         = errors.New("path escapes from parent") // as os.Root says it

	// ErrLeaked reports operations that the operating system did not give
	// back before the deadline of Shutdown.
	ErrLeaked = errors.New("operations still in flight")
)
