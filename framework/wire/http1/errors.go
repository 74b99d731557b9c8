package http1

import "strconv"

// Error is why a message is refused. The errors of the package are variables, so that
// refusing costs no memory.
type Error struct {
	// Status is what a server answers such a request with: 400, 413, 414, 417, 431,
	// 501 or 505. A gateway answers 502 for a response, whatever the status.
	Status int
	// Reason says what is wrong with it.
	Reason string
}

// Error returns the status and the reason.
func (e *Error) Error() string { return strconv.Itoa(e.Status) + ": " + e.Reason }

var (
	errLineEnd       = &Error{400, "a line ends with LF alone"}
	errBareCR        = &Error{400, "CR inside a line"}
	errRequestLine   = &Error{400, "the request line is not \"method target version\""}
	errMethod        = &Error{400, "the method is no token"}
	errTarget        = &Error{400, "the target is not one that the method may have"}
	errTargetChar    = &Error{400, "the target has a character that no target has"}
	errTargetEscape  = &Error{400, "the target has a % without two hexadecimal digits"}
	errTargetNUL     = &Error{400, "the path has a NUL"}
	errTargetDots    = &Error{400, "the path has a \"..\" that servers understand in different ways"}
	errVersion       = &Error{400, "the version is malformed"}
	errVersionNumber = &Error{505, "the version is neither HTTP/1.0 nor HTTP/1.1"}
	errLineTooLong   = &Error{414, "the request line is too long"}

	errStatusLine = &Error{400, "the status line is not \"version status reason\""}
	errStatus     = &Error{400, "the status is no number from 100 to 999"}
	errReason     = &Error{400, "the reason phrase has a control character"}
	errStatusLong = &Error{431, "the status line is too long"}

	errFold       = &Error{400, "a field line begins with a space"}
	errNoColon    = &Error{400, "a field line has no colon"}
	errFieldName  = &Error{400, "a field name is no token"}
	errUnderscore = &Error{400, "a field name has an underscore"}
	errFieldValue = &Error{400, "a field value has a control character"}
	errHeadSize   = &Error{431, "the head is too large"}
	errFieldCount = &Error{431, "there are too many fields"}

	errNoHost       = &Error{400, "there is no Host"}
	errHosts        = &Error{400, "there are several Hosts"}
	errHost         = &Error{400, "the Host is malformed"}
	errHostDiffers  = &Error{400, "the Host is not that of the target"}
	errExpect       = &Error{417, "an expectation other than 100-continue"}
	errLength       = &Error{400, "the Content-Length is malformed"}
	errLengths      = &Error{400, "there are several Content-Lengths"}
	errLengthCoding = &Error{400, "there are Content-Length and Transfer-Encoding"}
	errCoding       = &Error{400, "the Transfer-Encoding does not end with chunked"}
	errCodings      = &Error{400, "there are several Transfer-Encodings"}
	errCodingOther  = &Error{501, "a transfer coding other than chunked"}
	errCodingOld    = &Error{400, "Transfer-Encoding in HTTP/1.0"}

	errChunkSize    = &Error{400, "a chunk size is malformed"}
	errChunkEnd     = &Error{400, "a chunk is longer than its size"}
	errExtension    = &Error{400, "a chunk extension is malformed"}
	errExtensions   = &Error{400, "the chunk extensions are too long"}
	errTrailerField = &Error{400, "a trailer field that belongs in the head"}
)
