package http1

import (
	"bytes"
	"net/netip"
)

// splitHost takes "host" or "host:port" apart; false if it is malformed: with user
// information, an empty label, or an address in brackets that is none. A name may end with
// one dot, and the port be empty (RFC 3986, 3.2).
func splitHost(text []byte) (name, port []byte, ok bool) {
	end := bytes.IndexByte(text, ':')
	if len(text) > 0 && text[0] == '[' {
		end = bytes.IndexByte(text, ']') + 1
		if end == 0 || end < len(text) && text[end] != ':' {
			return nil, nil, false
		}
		if a, err := netip.ParseAddr(string(text[1 : end-1])); err != nil || !a.Is6() || a.Zone() != "" {
			return nil, nil, false
		}
	} else if end < 0 {
		end = len(text)
	}
	name = text[:end]
	if end < len(text) {
		port = text[end+1:]
	}
	return name, port, validName(name) && validPort(port)
}

// validName reports whether a name of a host has no empty label but for one dot at its end.
// One in brackets has been looked at.
func validName(name []byte) bool {
	if len(name) > 0 && name[0] == '[' {
		return true
	}
	label := 0 // bytes of the current one
	for i, b := range name {
		switch {
		case classes[b]&host == 0:
			return false
		case b != '.':
			label++
		case label == 0:
			return false
		case i < len(name)-1:
			label = 0
		}
	}
	return label > 0
}

func validPort(text []byte) bool {
	for _, b := range text {
		if !isDigit(b) {
			return false
		}
	}
	return portNumber(text, 0) <= 65535
}

// portNumber returns the number of a port, that of the scheme if it is empty.
func portNumber(text []byte, scheme int) (n int) {
	if len(text) == 0 {
		return scheme
	}
	for _, b := range text {
		if n = n*10 + int(b-'0'); n > 65535 {
			return n
		}
	}
	return n
}

// sameHost reports whether two valid hosts are the same for a scheme with a port of its own.
func sameHost(a, b []byte, scheme int) bool {
	nameA, portA, _ := splitHost(a)
	nameB, portB, _ := splitHost(b)
	return bytes.EqualFold(bytes.TrimSuffix(nameA, []byte(".")), bytes.TrimSuffix(nameB, []byte("."))) &&
		portNumber(portA, scheme) == portNumber(portB, scheme)
}

// readHost makes the hostname of the authority; false if that is malformed.
func (r *Request) readHost() bool {
	name, _, ok := splitHost(r.bytes(r.authority))
	if ok {
		r.keepHostname(name)
	}
	return ok
}

// keepHostname makes the hostname of the name that splitHost has found in the authority.
func (r *Request) keepHostname(name []byte) {
	if name[0] == '[' {
		a, _ := netip.ParseAddr(string(name[1 : len(name)-1])) // it is one
		r.hostname = keep(&r.Header, "["+a.String()+"]")
		return
	}
	r.hostname = keep(&r.Header, bytes.TrimSuffix(name, []byte(".")))
	kept := r.text[r.hostname.start:]
	for i, b := range kept {
		kept[i] = lower(b)
	}
}
