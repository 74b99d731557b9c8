package framework

import (
	"errors"

	"fwx/framework/strict"
)

var (
	// ErrBadContext is returned for a call that is not allowed at this point, such as
	// AttachDataFilter outside an event handler (FWX_E_BAD_CONTEXT).
	ErrBadContext = errors.New("not legal in this context")
	// ErrTerminating is returned for a call on a connection that is ending
	// (FWX_E_TERMINATING).
	ErrTerminating = errors.New("connection is terminating")
	// ErrAlreadyEmulated is returned by a second call of Connection.Emulate
	// (FWX_E_ALREADY_EMULATED).
	ErrAlreadyEmulated = errors.New("connection is already emulated")
	// ErrTooManyConnections is returned by Connection.Expect if there is no place for another
	// connection.
	ErrTooManyConnections = errors.New("too many connections")
	// ErrNoCertificate is returned by Connection.SetTLSMode if TLS cannot be terminated.
	ErrNoCertificate = errors.New("the listener has no certificate to terminate TLS with")
	// ErrNotRunning is returned by Firewall.Reload before Start and after Shutdown.
	ErrNotRunning = errors.New("the firewall is not running")
	// ErrQueueFull is returned by Connection.Send if too much data is waiting.
	ErrQueueFull = errors.New("too much data is waiting to be sent")
)

// Reasons for which the firewall itself resets connections.
var (
	errShutDown   = errors.New("the service was shut down")
	errSuperseded = errors.New("its configuration was replaced too many times")
)

// UnknownNameError reports a name that is not one of a set.
type UnknownNameError = strict.UnknownNameError
