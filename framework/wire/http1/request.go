package http1

import "bytes"

// Request is the head of a request. The zero value is ready for Parse.
type Request struct {
	head

	method, target  span
	asked           span // the method as it was received, whatever has been set since
	authority, path span // of the target, if it is absolute; otherwise path is the target
	hostname        span // of the authority, to compare
	port            int  // that an absolute target means when it names none
}

// Reset makes the request ready for the next Parse and keeps its memory.
func (r *Request) Reset() {
	r.head.reset()
	*r = Request{head: r.head}
}

// Parse takes what has been received behind what it was given before. It returns how
// much of data belongs to the head, and whether the head is complete. After an error,
// which is an *Error, the request must be reset.
func (r *Request) Parse(data []byte, limits *Limits) (n int, done bool, err error) {
	n, done, e := r.parse(data, limits)
	if e != nil {
		return n, false, e
	}
	return n, done, nil
}

func (r *Request) parse(data []byte, limits *Limits) (n int, done bool, err *Error) {
	if !r.started {
		var line []byte
		n, line, err = r.begin(data, limits.Line, errLineTooLong)
		if err != nil || line == nil {
			return n, false, err
		}
		if err := r.requestLine(line); err != nil {
			return n, false, err
		}
		r.beginFields()
	}
	used, done, err := r.parseFields(data[n:], limits)
	n += used
	if err != nil || !done {
		return n, false, err
	}
	return n, true, r.finish()
}

// requestLine takes "method target version" apart.
func (r *Request) requestLine(line []byte) *Error {
	i := bytes.IndexByte(line, ' ')
	j := bytes.LastIndexByte(line, ' ')
	if i <= 0 || j <= i+1 {
		return errRequestLine
	}
	method, goal, version := line[:i], line[i+1:j], line[j+1:]
	if !token.all(method) {
		return errMethod
	}
	at := r.line
	r.method = span{at, at + uint32(i)}
	r.asked = r.method
	r.target = span{at + uint32(i) + 1, at + uint32(j)}
	if err := r.version(version); err != nil {
		return err
	}
	return r.splitTarget(method, goal)
}

// version reads HTTP/1.0 or HTTP/1.1.
func (h *head) version(text []byte) *Error {
	if len(text) != len("HTTP/1.1") || string(text[:5]) != "HTTP/" || !isDigit(text[5]) || text[6] != '.' || !isDigit(text[7]) {
		return errVersion
	}
	if text[5] != '1' || text[7] > '1' {
		return errVersionNumber
	}
	h.minor = text[7] - '0'
	return nil
}

// splitTarget finds the authority and the path in the four forms of a target
// (RFC 9112, 3.2).
func (r *Request) splitTarget(method, goal []byte) *Error {
	for _, b := range goal {
		if classes[b]&target == 0 {
			return errTargetChar
		}
	}
	connect := string(method) == "CONNECT"
	switch {
	case connect:
		name, port, ok := splitHost(goal)
		if !ok || len(port) == 0 {
			return errTarget
		}
		r.authority = r.target
		r.keepHostname(name)
		return nil
	case goal[0] == '/':
		r.path = r.target
	case string(goal) == "*":
		if string(method) != "OPTIONS" {
			return errTarget
		}
		r.path = r.target
	default:
		if err := r.splitAbsolute(method, goal); err != nil {
			return err
		}
	}
	return checkPath(r.bytes(r.path))
}

// splitAbsolute splits "http://authority/path". OPTIONS without a path is for the host as a
// whole (RFC 9112, 3.2.4).
func (r *Request) splitAbsolute(method, goal []byte) *Error {
	scheme := len("http://")
	switch r.port = 80; {
	case len(goal) >= len("http://") && EqualFold(goal[:len("http://")], "http://"):
	case len(goal) >= len("https://") && EqualFold(goal[:len("https://")], "https://"):
		scheme, r.port = len("https://"), 443
	default:
		return errTarget
	}
	end := len(goal)
	if i := bytes.IndexAny(goal[scheme:], "/?"); i >= 0 {
		end = scheme + i
	}
	name, _, ok := splitHost(goal[scheme:end])
	if !ok {
		return errTarget
	}
	at := r.target.start
	r.authority = span{at + uint32(scheme), at + uint32(end)}
	r.keepHostname(name)
	switch {
	case end < len(goal) && goal[end] == '/':
		r.path = span{at + uint32(end), r.target.end}
	case end < len(goal): // "?query" alone
		start := uint32(len(r.text))
		r.text = append(r.text, '/')
		r.text = append(r.text, goal[end:]...)
		r.path = span{start, uint32(len(r.text))}
	case string(method) == "OPTIONS":
		r.path = keep(&r.Header, "*")
	default:
		r.path = keep(&r.Header, "/")
	}
	return nil
}

// finish looks at what the complete head says.
func (r *Request) finish() *Error {
	if err := r.frame(); err != nil {
		return err
	}
	if r.framing == ByLength && r.length == 0 {
		r.framing = NoBody
	}
	hosts := 0
	for i := range r.fields {
		f := r.fields[i]
		switch f.kind {
		case kindHost:
			if hosts++; hosts > 1 {
				return errHosts
			}
			v := r.bytes(f.value)
			name, _, ok := splitHost(v)
			if !ok {
				return errHost
			}
			switch {
			case r.authority == (span{}):
				r.authority = f.value
				r.keepHostname(name)
			case !sameHost(r.bytes(r.authority), v, r.port):
				return errHostDiffers
			}
		case kindExpect:
			if !EqualFold(r.bytes(f.value), "100-continue") {
				return errExpect
			}
			r.options |= optionContinue
		default:
		}
	}
	if hosts == 0 && r.minor > 0 {
		return errNoHost
	}
	return nil
}

// Method returns the method, in the case in which it was received.
func (r *Request) Method() []byte { return r.bytes(r.method) }

// Asked returns the method that was received, whatever SetMethod has changed: it decides
// how the response to the sender ends.
func (r *Request) Asked() []byte { return r.bytes(r.asked) }

// Target returns the target as it was received.
func (r *Request) Target() []byte { return r.bytes(r.target) }

// Path returns the target without scheme and authority: path and query, or "*". It is
// empty for CONNECT.
func (r *Request) Path() []byte { return r.bytes(r.path) }

// Host returns the host that the request is for, with its port if it was given: from
// the target if that is absolute, otherwise from Host. It is empty if HTTP/1.0 told none.
func (r *Request) Host() []byte { return r.bytes(r.authority) }

// Hostname returns the host to compare with others: in lower case, without its port and
// without the dot that may end it, an address in brackets in its shortest form.
func (r *Request) Hostname() []byte { return r.bytes(r.hostname) }

// Is reports whether the method is the given one.
func (r *Request) Is(method string) bool { return string(r.Method()) == method }

// Continue reports whether the client waits for 100 Continue before it sends the body.
func (r *Request) Continue() bool {
	return r.options&optionContinue != 0 && r.minor > 0 && r.framing != NoBody
}

// SetMethod changes the method. It returns false if it is not a token, if it is CONNECT,
// whose response would make a tunnel of the connection, or if the path is "*", which only
// OPTIONS may have.
func (r *Request) SetMethod(method string) bool {
	if !ValidName(method) || method == "CONNECT" || method != "OPTIONS" && string(r.Path()) == "*" {
		return false
	}
	r.method = keep(&r.Header, method)
	return true
}

// SetPath changes path and query; false if it is not an absolute path that a target
// may have.
func (r *Request) SetPath(path string) bool { return r.setPath(keep(&r.Header, path)) }

// SetCleanPath changes the path, given without any encoding, and leaves the query as it is.
// It returns false if it is not an absolute path, or has a NUL.
func (r *Request) SetCleanPath(path string) bool {
	_, query, asked := bytes.Cut(r.Path(), []byte("?"))
	start := uint32(len(r.text))
	r.text = appendEscaped(r.text, path)
	if asked {
		r.text = append(append(r.text, '?'), query...)
	}
	return r.setPath(span{start, uint32(len(r.text))})
}

func (r *Request) setPath(p span) bool {
	text := r.bytes(p)
	if len(text) == 0 || text[0] != '/' || !target.all(text) || checkPath(text) != nil {
		return false
	}
	r.path = p
	return true
}

// SetHost changes the host, and the field Host with it; false if it is malformed.
func (r *Request) SetHost(name string) bool {
	a, before := keep(&r.Header, name), r.authority
	if r.authority = a; a.start == a.end || !r.readHost() {
		r.authority = before
		return false
	}
	r.Set("Host", name)
	return true
}

// AppendLine appends the request line, with the path as its target.
func (r *Request) AppendLine(dst []byte) []byte {
	dst = append(dst, r.Method()...)
	dst = append(dst, ' ')
	dst = append(dst, r.Path()...)
	return append(dst, " HTTP/1.1\r\n"...)
}
