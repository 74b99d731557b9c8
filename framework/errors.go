package framework

import (
	"errors"
	"fmt"

	"fwx/framework/strict"
)

var (
	// ErrBadContext answers a call that is not legal where it was made, such as
	// AttachDataFilter outside an event handler (FWX_E_BAD_CONTEXT).
	ErrBadContext = errors.New("not legal in this context")
	// ErrTerminating answers a call on a connection that is ending (FWX_E_TERMINATING).
	ErrTerminating = errors.New("connection is terminating")
	// ErrAlreadyEmulated answers a second Connection.Emulate (FWX_E_ALREADY_EMULATED).
	ErrAlreadyEmulated = errors.New("connection is already emulated")
	// ErrTooManyConnections answers Connection.Expect when there is no place for
	// one more.
	ErrTooManyConnections = errors.New("too many connections")
	// ErrNoCertificate answers Connection.SetTLSMode where TLS cannot be terminated.
	ErrNoCertificate = errors.New("the listener has no certificate to terminate TLS with")
	// ErrNotRunning answers Firewall.Reload before Start and after Shutdown.
	ErrNotRunning = errors.New("the firewall does not run")
	// ErrQueueFull answers Connection.Send when too much is waiting already.
	ErrQueueFull = errors.New("too much data is waiting to be sent")
)

// Why the firewall itself resets connections.
var (
	errShutDown   = errors.New("the service was shut down")
	errSuperseded = errors.New("its configuration was replaced too many times")
)

// UnknownNameError reports a name that is not one of a set.
type UnknownNameError struct {
	What  string
	Name  string
	Known []string
}

// Error suggests what may have been meant, or lists the names there are.
func (e *UnknownNameError) Error() string {
	return fmt.Sprintf("unknown %s %q%s", e.What, e.Name, strict.Suggest(e.Name, e.Known))
}
