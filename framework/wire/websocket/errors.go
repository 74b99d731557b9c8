package websocket

import "strconv"

// The codes that a connection is closed with (RFC 6455, 7.4.1).
const (
	CodeNormal        = 1000 // its purpose is fulfilled
	CodeGoingAway     = 1001 // an end is shutting down
	CodeProtocolError = 1002 // something that the protocol forbids
	CodeNoStatus      = 1005 // never sent: a close without a code
	CodeInvalidData   = 1007 // a message that is not what its type says
	CodePolicy        = 1008 // a message that is not allowed
	CodeTooBig        = 1009 // a message that is too long
	CodeInternalError = 1011 // a failure of an end itself
	CodeTryAgain      = 1013 // an end has too much to do
)

// Error is why a stream is refused. The errors of the package are variables, so that
// refusing costs no memory.
type Error struct {
	Code   int // CodeProtocolError, CodeInvalidData or CodeTooBig
	Reason string
}

// Error returns the code and the reason.
func (e *Error) Error() string { return strconv.Itoa(e.Code) + ": " + e.Reason }

var (
	errReserved     = &Error{CodeProtocolError, "a reserved bit is set"}
	errOpcode       = &Error{CodeProtocolError, "a reserved opcode"}
	errNotMasked    = &Error{CodeProtocolError, "a frame of the client is not masked"}
	errMasked       = &Error{CodeProtocolError, "a frame of the server is masked"}
	errLengthForm   = &Error{CodeProtocolError, "a length is not written in its shortest form"}
	errLengthSign   = &Error{CodeProtocolError, "a length has more than 63 bits"}
	errControlSize  = &Error{CodeProtocolError, "a control frame is longer than 125 bytes"}
	errControlParts = &Error{CodeProtocolError, "a control frame is fragmented"}
	errContinuation = &Error{CodeProtocolError, "a continuation of nothing"}
	errInterrupted  = &Error{CodeProtocolError, "a message begins inside another"}
	errCloseSize    = &Error{CodeProtocolError, "a close has half a code"}
	errCloseCode    = &Error{CodeProtocolError, "a close code that must not be sent"}
	errCloseReason  = &Error{CodeInvalidData, "the reason of a close is not UTF-8"}
	errText         = &Error{CodeInvalidData, "a text is not UTF-8"}
	errDeflate      = &Error{CodeInvalidData, "a compressed message is damaged"}
	errTooBig       = &Error{CodeTooBig, "a message is too long"}
)
