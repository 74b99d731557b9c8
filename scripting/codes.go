package scripting

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"fwx/framework"
	"fwx/framework/completion"
	"fwx/framework/store"
	"fwx/framework/wire/coding"
)

// The codes of errors that do not come from the operating system.
const (
	codeDenied  = "denied"
	codeTimeout = "timeout"
	codeAway    = "unavailable" // the store
	codeAborted = "aborted"
	codeClosed  = "closed"
	codeBusy    = "busy"
	codeFull    = "full"
	codeError   = "error"
	codeUnknown = "unknown" // a name
	codeTLS     = "tls"
	codeProto   = "protocol" // of HTTP
	codeInvalid = "EINVAL"   // as the system calls it
	codeTooBig  = "EMSGSIZE"
)

// codedError is an error of a function for scripts.
type codedError struct{ message, code string }

func (e *codedError) Error() string { return e.message }

// codes are the codes of the errors of the port and the framework.
var codes = []struct {
	err  error
	code string
}{
	{completion.ErrOperationAborted, codeAborted},
	{completion.ErrHandleClosed, codeClosed},
	{completion.ErrPortClosed, codeClosed},
	{completion.ErrBusy, codeBusy},
	{completion.ErrTooManyOperations, codeBusy},
	{framework.ErrTerminating, codeClosed},
	{framework.ErrQueueFull, codeFull},
	{framework.ErrTooManyConnections, codeFull},
	{coding.ErrUnknown, codeUnknown},
	{store.ErrTooLarge, codeTooBig},
	{store.ErrNotNumber, codeInvalid},
	{store.ErrBusy, codeBusy},
	{store.ErrTimeout, codeTimeout},
	{store.ErrUnavailable, codeAway},
	{context.DeadlineExceeded, codeTimeout},
	{os.ErrDeadlineExceeded, codeTimeout},
	{fs.ErrClosed, codeClosed},
}

// codeOf returns the third result of a function that has failed: the name of the
// system's error, or one of the codes above.
func codeOf(err error) string {
	if coded, ok := errors.AsType[*codedError](err); ok {
		return coded.code
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		if name := errnoName(errno); name != "" {
			return name
		}
	}
	if strings.Contains(err.Error(), "path escapes from parent") { // os.Root has no value for it
		return codeDenied
	}
	return codeError
}
