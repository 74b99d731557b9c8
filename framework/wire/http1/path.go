package http1

import "bytes"

// checkPath looks at the percent encoding of a path, not of its query. It refuses NUL, and
// every ".." of which servers make different things: one that is there only for those who
// take \, %2F or %5C for a slash, or who leave out what follows a ";", and one that follows
// an empty segment, which some servers count and others leave out.
func checkPath(path []byte) *Error {
	var s segment
	for i := 0; i < len(path) && path[i] != '?'; i++ {
		b, plain := path[i], true
		if b == '%' {
			if i+2 >= len(path) || classes[path[i+1]]&classes[path[i+2]]&hex == 0 {
				return errTargetEscape
			}
			if b = byte(hexValue(path[i+1])<<4 | hexValue(path[i+2])); b == 0 {
				return errTargetNUL
			}
			plain = b != '/' && b != '\\'
			i += 2
			if b == ';' { // it is a character like others
				b = 'x'
			}
		}
		if err := s.add(b, plain && b != '\\'); err != nil {
			return err
		}
	}
	return s.add('/', true)
}

// segment is one of a path, as it is read.
type segment struct {
	begun   bool // the first slash has come
	unclear bool // it begins with what not everybody takes for a slash
	params  bool // there was a ";"
	other   bool // it has more than dots
	dots    int
	empty   bool // one before was
}

// add takes the next byte, decoded; plain says that nobody takes it for anything else.
func (s *segment) add(b byte, plain bool) *Error {
	switch {
	case b == '/' || b == '\\':
		if s.begun && !s.other && s.dots == 2 && (s.unclear || s.params || !plain || s.empty) {
			return errTargetDots
		}
		empty := s.empty || s.begun && !s.other && s.dots == 0
		*s = segment{begun: true, unclear: !plain, empty: empty}
	case s.params:
	case b == ';':
		s.params = true
	case b == '.':
		s.dots++
	default:
		s.other = true
	}
	return nil
}

// AppendCleanPath appends the path of a target as a server may understand it, so that
// nobody gets past a rule by another spelling: without the query, with %-encoding resolved,
// "\" as "/", without what follows a ";" in a segment, without "." and empty segments, and
// with ".." resolved. The target must be one that has been checked.
func AppendCleanPath(dst, goal []byte) []byte {
	path, _, _ := bytes.Cut(goal, []byte("?"))
	if bytes.IndexByte(path, '%') < 0 && bytes.IndexByte(path, '\\') < 0 && bytes.IndexByte(path, ';') < 0 &&
		!bytes.Contains(path, []byte("/.")) && !bytes.Contains(path, []byte("//")) {
		return append(dst, path...)
	}
	start, params := len(dst), false
	for i := 0; i < len(path); i++ {
		b := path[i]
		switch b {
		case '%':
			b = byte(hexValue(path[i+1])<<4 | hexValue(path[i+2]))
			i += 2
		case ';':
			params = true
		}
		if b == '\\' {
			b = '/'
		}
		if b == '/' {
			params = false
		}
		if !params {
			dst = append(dst, b)
		}
	}
	return append(dst[:start], resolveDots(dst[start:])...)
}

// resolveDots resolves the segments "", "." and ".." in place.
func resolveDots(path []byte) []byte {
	out := path[:0]
	for len(path) > 0 {
		segment := path[1:]
		if i := bytes.IndexByte(segment, '/'); i >= 0 {
			segment = segment[:i]
		}
		last := 1+len(segment) == len(path)
		path = path[1+len(segment):]
		switch string(segment) {
		case "..":
			out = out[:max(0, bytes.LastIndexByte(out, '/'))]
		case "", ".":
		default:
			out = append(append(out, '/'), segment...)
			continue
		}
		if last {
			out = append(out, '/')
		}
	}
	return out
}

// appendEscaped appends a path with what would mean something else in a target encoded.
func appendEscaped(dst []byte, path string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(path) {
		switch b := path[i]; {
		case classes[b]&host != 0, bytes.IndexByte([]byte("/!$&'()*+,=:@"), b) >= 0:
			dst = append(dst, b)
		default:
			dst = append(dst, '%', digits[b>>4], digits[b&15])
		}
	}
	return dst
}
