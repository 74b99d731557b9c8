package framework

import (
	"errors"
	"fmt"

	"fwx/framework/wire/http1"
)

// ErrUnsendable is returned for a change of a message that could not be sent: a name that is
// not a token, a value with control characters, a field that the gateway writes itself.
var ErrUnsendable = errors.New("cannot be sent")

// Fields are the fields of a message's head, or its trailer fields, as filters see and change
// them. They are empty before the message has arrived, and once the Exchange is reused. What
// their methods return is valid until the fields are changed.
//
// A change that can have no effect, because the fields have been sent, returns an error that
// wraps ErrBadContext; one that cannot be sent returns ErrUnsendable.
type Fields struct {
	x      *Exchange
	serial uint64
	dir    Direction
	change call // the call that changes these fields
}

// RequestHead is the head of a request. The zero value must not be used.
type RequestHead struct{ Fields }

// ResponseHead is the head of a response. The zero value must not be used.
type ResponseHead struct{ Fields }

// Request returns the head of the request.
func (x *Exchange) Request() RequestHead {
	return RequestHead{Fields{x, x.serial, Upstream, callHead}}
}

// Response returns the head of the response. Its status is 0 before the response has arrived.
func (x *Exchange) Response() ResponseHead {
	return ResponseHead{Fields{x, x.serial, Downstream, callHead}}
}

// Trailer returns the trailer fields of the body in a direction. They are available when the
// whole body has arrived, and can be changed when the filter is given its end. They are
// forwarded with a body that is sent in chunks. A body that was gathered is sent with a
// length: its trailer fields cannot be changed and are not sent.
func (x *Exchange) Trailer(dir Direction) Fields { return Fields{x, x.serial, dir, callTrailer} }

// Empty values for a message that has not arrived, or is no longer there.
var (
	noRequest  http1.Request
	noResponse http1.Response
	noFields   http1.Header
)

// request returns the head as it is.
func (f Fields) request() *http1.Request {
	if f.x.serial != f.serial {
		return &noRequest
	}
	return &f.x.request
}

// response returns the head as it is.
func (f Fields) response() *http1.Response {
	if f.x.serial != f.serial || f.x.responseState == responseHead {
		return &noResponse
	}
	return &f.x.response
}

// trailer returns the trailer fields as they are.
func (f Fields) trailer() *http1.Header {
	body, come := &f.x.requestBody, f.x.requestState > requestHead
	if f.dir == Downstream {
		body, come = &f.x.responseBody, f.x.responseState > responseHead
	}
	if f.x.serial != f.serial || !come || !body.Done() {
		return &noFields
	}
	return body.Trailer()
}

// header returns the fields as they are.
func (f Fields) header() *http1.Header {
	switch {
	case f.change == callTrailer:
		return f.trailer()
	case f.dir == Downstream:
		return &f.response().Header
	}
	return &f.request().Header
}

// Len returns the number of fields.
func (f Fields) Len() int { return f.header().Len() }

// Name returns the name of field i as it was received.
func (f Fields) Name(i int) []byte { return f.header().Name(i) }

// Value returns the value of field i.
func (f Fields) Value(i int) []byte { return f.header().Value(i) }

// Find returns the index of the first field with a name, in lower case, from index i on; -1 if
// there is none.
func (f Fields) Find(name string, i int) int { return f.header().Find(name, i) }

// Get returns the value of the first field with a name, in lower case; nil if there is none.
func (f Fields) Get(name string) []byte { return f.header().Get(name) }

// Append appends all fields as they are sent.
func (f Fields) Append(dst []byte) []byte { return f.header().Append(dst) }

// Set sets the first field with a name to a value and removes the others, or adds a field.
func (f Fields) Set(name, value string) error {
	err := f.mayBe(name, value)
	if err == nil {
		f.header().Set(name, value)
	}
	return err
}

// Add adds a field after the others.
func (f Fields) Add(name, value string) error {
	err := f.mayBe(name, value)
	if err == nil {
		f.header().Add(name, value)
	}
	return err
}

// Remove removes all fields with a name.
func (f Fields) Remove(name string) error {
	err := f.mayBe(name, "")
	if err == nil {
		f.header().Remove(name)
	}
	return err
}

// mayChange returns an error if a change comes too early or too late.
func (f Fields) mayChange() error {
	if f.x.serial != f.serial {
		return calls[f.change].refusal
	}
	return f.x.may(f.change, f.dir)
}

// maxHeadText bounds the bytes that the texts of a head may take, including those that filters
// have replaced. It is far more than any server accepts.
const maxHeadText = 1 << 20

var errHeadFull = fmt.Errorf("with what was changed before, the head would take more than %d KiB", maxHeadText>>10)

// hasRoom reports whether n more bytes of text fit into a head.
func hasRoom(h *http1.Header, n int) bool { return n <= maxHeadText-h.Size() }

// mayBe returns an error if a field cannot be set, or not now.
func (f Fields) mayBe(name, value string) error {
	if err := f.mayChange(); err != nil {
		return err
	}
	switch {
	case !http1.ValidName(name):
		return fmt.Errorf("field name %q %w", name, ErrUnsendable)
	case http1.Reserved(name):
		return fmt.Errorf("field %s %w: the gateway writes it itself", name, ErrUnsendable)
	case f.change == callTrailer && !http1.ValidTrailer([]byte(name)):
		return fmt.Errorf("field %s %w behind a body", name, ErrUnsendable)
	case !http1.ValidValue(value):
		return fmt.Errorf("field %s %w: its value has a control character", name, ErrUnsendable)
	case !hasRoom(f.header(), len(name)+len(value)):
		return fmt.Errorf("field %s %w: %w", name, ErrUnsendable, errHeadFull)
	}
	return nil
}

// Method returns the method, in the case in which it was received.
func (r RequestHead) Method() []byte { return r.request().Method() }

// Is reports whether the method is the given one.
func (r RequestHead) Is(method string) bool { return r.request().Is(method) }

// Target returns the target as it was received.
func (r RequestHead) Target() []byte { return r.request().Target() }

// Path returns path and query, or "*".
func (r RequestHead) Path() []byte { return r.request().Path() }

// Host returns the host that the request is for, with its port if the client sent one. It is
// empty if an HTTP/1.0 request names no host.
func (r RequestHead) Host() []byte { return r.request().Host() }

// CleanPath returns the path in the form that routes compare, which is the same for all
// spellings: without the query, decoded, and with dots, empty segments and parameters resolved
// (see http1.AppendCleanPath). It is valid until the next call.
func (r RequestHead) CleanPath() []byte {
	if r.x.serial != r.serial {
		return nil
	}
	return r.x.cleanPath()
}

// Hostname returns the host in the form that routes compare: in lower case, without its port
// and without a trailing dot.
func (r RequestHead) Hostname() []byte { return r.request().Hostname() }

// Minor returns the minor version of HTTP that the client speaks: 0 or 1.
func (r RequestHead) Minor() int { return r.request().Minor() }

// SetMethod changes the method.
func (r RequestHead) SetMethod(method string) error {
	return r.set("method", method, (*http1.Request).SetMethod)
}

// SetPath changes path and query.
func (r RequestHead) SetPath(path string) error { return r.set("path", path, (*http1.Request).SetPath) }

// SetCleanPath changes the path, given without any encoding, and leaves the query as it is.
func (r RequestHead) SetCleanPath(path string) error {
	return r.set("path", path, (*http1.Request).SetCleanPath)
}

// SetHost changes the host and the Host field.
func (r RequestHead) SetHost(host string) error { return r.set("host", host, (*http1.Request).SetHost) }

// set changes a part of the request line.
func (r RequestHead) set(what, value string, set func(*http1.Request, string) bool) error {
	if err := r.mayChange(); err != nil {
		return err
	}
	if !hasRoom(&r.request().Header, len(value)) {
		return fmt.Errorf("%s %w: %w", what, ErrUnsendable, errHeadFull)
	}
	if !set(r.request(), value) {
		return fmt.Errorf("%s %q %w", what, value, ErrUnsendable)
	}
	return nil
}

// Status returns the status; 0 before the response has arrived.
func (p ResponseHead) Status() int { return p.response().Status() }

// SetStatus changes the status to one from 200 to 599.
func (p ResponseHead) SetStatus(status int) error {
	if err := p.mayChange(); err != nil {
		return err
	}
	if status > 599 || !p.response().SetStatus(status) {
		return fmt.Errorf("status %d %w", status, ErrUnsendable)
	}
	return nil
}
