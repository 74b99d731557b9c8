package http1

import "strconv"

// Response is the head of a response. The zero value is ready for Parse.
type Response struct {
	head

	status int
	reason span
}

// Reset makes the response ready for the next Parse and keeps its memory.
func (r *Response) Reset() {
	r.head.reset()
	r.status, r.reason = 0, span{}
}

// Parse is Request.Parse for a response. request is the method of the request that it
// answers: what answers HEAD has no body.
func (r *Response) Parse(data []byte, limits *Limits, request []byte) (n int, done bool, err error) {
	n, done, e := r.parse(data, limits)
	if e == nil && done {
		e = r.finish(request)
	}
	if e != nil {
		return n, false, e
	}
	return n, done, nil
}

func (r *Response) parse(data []byte, limits *Limits) (n int, done bool, err *Error) {
	if !r.started {
		var line []byte
		n, line, err = r.begin(data, limits.Line, errStatusLong)
		if err != nil || line == nil {
			return n, false, err
		}
		if err := r.statusLine(line); err != nil {
			return n, false, err
		}
		r.beginFields()
	}
	used, done, err := r.parseFields(data[n:], limits)
	return n + used, done, err
}

// statusLine takes "version status reason" apart. Many servers leave out the reason,
// and some the space before it.
func (r *Response) statusLine(line []byte) *Error {
	const versionEnd, statusEnd = len("HTTP/1.1"), len("HTTP/1.1 200")
	if len(line) < statusEnd || line[versionEnd] != ' ' || len(line) > statusEnd && line[statusEnd] != ' ' {
		return errStatusLine
	}
	if err := r.version(line[:versionEnd]); err != nil {
		return err
	}
	for _, b := range line[versionEnd+1 : statusEnd] {
		if !isDigit(b) {
			return errStatus
		}
		r.status = r.status*10 + int(b-'0')
	}
	if r.status < 100 {
		return errStatus
	}
	if len(line) > statusEnd {
		if !value.all(line[statusEnd+1:]) {
			return errReason
		}
		r.reason = span{r.line + uint32(statusEnd) + 1, r.line + uint32(len(line))}
	}
	return nil
}

// finish finds out how the body ends (RFC 9112, 6.3).
func (r *Response) finish(request []byte) *Error {
	if err := r.frame(); err != nil {
		return err
	}
	switch {
	case Bodiless(request, r.status):
		r.framing = NoBody
	case r.framing == ByLength && r.length == 0:
		r.framing = NoBody
	case r.framing == NoBody:
		r.framing = UntilClose
	}
	return nil
}

// Status returns the status code.
func (r *Response) Status() int { return r.status }

// Reason returns the reason phrase.
func (r *Response) Reason() []byte { return r.bytes(r.reason) }

// Bodiless reports whether a response with a status to a request with a method never has
// a body, whatever its fields say (RFC 9112, 6.3).
func Bodiless(method []byte, status int) bool {
	return string(method) == "HEAD" || status < 200 || status == 204 || status == 304
}

// SetStatus changes the status code and gives it the reason phrase that it is known
// by; false if it is not from 200 to 999.
func (r *Response) SetStatus(status int) bool {
	if status < 200 || status > 999 {
		return false
	}
	r.status, r.reason = status, keep(&r.Header, StatusText(status))
	return true
}

// Make makes it a response that was not received, with a status and no fields.
func (r *Response) Make(status int) {
	r.Reset()
	r.minor, r.length, r.status = 1, -1, status
	r.reason = keep(&r.Header, StatusText(status))
}

// AppendLine appends the status line.
func (r *Response) AppendLine(dst []byte) []byte {
	return AppendStatusLine(dst, r.status, r.Reason())
}

// AppendStatusLine appends a status line.
func AppendStatusLine(dst []byte, status int, reason []byte) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, reason...)
	return append(dst, "\r\n"...)
}
