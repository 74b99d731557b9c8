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
	// ErrQueueFull answers Connection.Send when too much is waiting already.
	ErrQueueFull = errors.New("too much data is waiting to be sent")
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
