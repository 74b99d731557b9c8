package http1

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// refused are requests that a client may send to be understood in two ways, or that are
// malformed, each with its verdict. The status 200 is for what looks like one of them
// and is in order.
var refused = []struct {
	name, text string
	status     int
}{
	// Where the message ends.
	{"length and chunked", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
	{"chunked and length", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400},
	{"chunked and length 0", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", 400},
	{"two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde", 400},
	{"the same length twice", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd", 400},
	{"a list of lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 4\r\n\r\nabcd", 400},
	{"a length with plus", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\nabcd", 400},
	{"a negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -4\r\n\r\n", 400},
	{"an empty length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400},
	{"a length with a space", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 0\r\n\r\n", 400},
	{"a hexadecimal length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x4\r\n\r\nabcd", 400},
	{"a length with a fraction", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4.0\r\n\r\nabcd", 400},
	{"a length that overflows", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551620\r\n\r\nabcd", 400},
	{"a length of 2^63", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n", 400},
	{"a length with blanks around it", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \t4 \r\n\r\nabcd", 200},
	{"a space before the colon of a length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 4\r\n\r\nabcd", 400},
	{"a tab before the colon", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\t: chunked\r\n\r\n", 400},
	{"a coding before chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
	{"a coding behind chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400},
	{"chunked twice in a list", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 501},
	{"chunked in two fields", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
	{"chunked and identity", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400},
	{"identity", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 400},
	{"an unknown coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400},
	{"chunked with a vertical tab", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n", 400},
	{"chunked in quotes", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400},
	{"an empty coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", 400},
	{"an empty coding before chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: , chunked\r\n\r\n0\r\n\r\n", 501},
	{"chunked in capitals", "POST / HTTP/1.1\r\nHost: a\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n0\r\n\r\n", 200},
	{"chunked in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
	{"a folded coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400},

	// Lines.
	{"a request line that ends with LF", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
	{"a field line that ends with LF", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400},
	{"a head that ends with LF", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
	{"LF alone throughout", "GET / HTTP/1.1\nHost: a\n\n", 400},
	{"CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: y\rZ: w\r\n\r\n", 400},
	{"CR CR LF", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 400},
	{"CR CR LF behind a field", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400},
	{"NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: y\x00z\r\n\r\n", 400},
	{"NUL in a name", "GET / HTTP/1.1\r\nHost: a\r\nX\x00Y: z\r\n\r\n", 400},
	{"NUL in the target", "GET /a\x00b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"DEL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", 400},
	{"an escape in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[2J\r\n\r\n", 400},
	{"a tab in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: y\tz\r\n\r\n", 200},
	{"Latin-1 in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \xe9\r\n\r\n", 200},
	{"Latin-1 in a name", "GET / HTTP/1.1\r\nHost: a\r\n\xe9: y\r\n\r\n", 400},
	{"a folded line", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", 400},
	{"a folded line with a tab", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tz\r\n\r\n", 400},
	{"a fold behind the request line", "GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n", 400},
	{"no colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400},
	{"no name", "GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n", 400},
	{"a space in a name", "GET / HTTP/1.1\r\nHost: a\r\nX Y: z\r\n\r\n", 400},
	{"a bracket in a name", "GET / HTTP/1.1\r\nHost: a\r\nX[]: z\r\n\r\n", 400},
	{"an empty value", "GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n", 200},

	// The request line.
	{"an empty line first", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 200},
	{"two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"LF first", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"a space first", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"two spaces behind the method", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"two spaces before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"a space behind the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
	{"tabs for spaces", "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"a space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"no version", "GET /\r\nHost: a\r\n\r\n", 400},
	{"no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"a method that is no token", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"a method in quotes", "\"GET\" / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"a method of one's own", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 200},
	{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", 400},
	{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
	{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
	{"HTTP/0.9", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505},
	{"HTTP/1.10", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400},
	{"HTTP/01.1", "GET / HTTP/01.1\r\nHost: a\r\n\r\n", 400},
	{"HTTP/1,1", "GET / HTTP/1,1\r\nHost: a\r\n\r\n", 400},
	{"http/1.1", "GET / http/1.1\r\nHost: a\r\n\r\n", 400},
	{"HTTP / 1.1", "GET / HTTP / 1.1\r\nHost: a\r\n\r\n", 400},

	// The target and the host.
	{"no host", "GET / HTTP/1.1\r\nX: y\r\n\r\n", 400},
	{"no host in HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", 200},
	{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
	{"the same host twice", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
	{"two hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400},
	{"an empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
	{"a list of hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
	{"a host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
	{"a host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
	{"a host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
	{"a port that is none", "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", 400},
	{"a port beyond 65535", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400},
	{"an empty port", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", 200},
	{"an IPv6 host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200},
	{"an IPv6 host that does not end", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
	{"a fold before the host", "GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", 400},
	{"an absolute target", "GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n", 200},
	{"an absolute target of another host", "GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"an absolute target without a host", "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"an absolute target with a user", "GET http://u@a/x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"an absolute target of another scheme", "GET file:///etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"a relative target", "GET a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"a fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"a broken escape", "GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"an escape without digits", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"Latin-1 in the target", "GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"* for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"* for OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 200},
	{"CONNECT of a path", "CONNECT /x HTTP/1.1\r\nHost: a:1\r\n\r\n", 400},
	{"CONNECT without a port", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"an unknown expectation", "GET / HTTP/1.1\r\nHost: a\r\nExpect: the-unexpected\r\n\r\n", 417},

	// Chunks.
	{"chunks in order", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"y\"\r\nabc\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n", 200},
	{"an empty chunk size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\r\nabc\r\n0\r\n\r\n", 400},
	{"a chunk size with a sign", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n", 400},
	{"a negative chunk size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n", 400},
	{"a chunk size with 0x", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", 400},
	{"a chunk size with a space behind", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n", 400},
	{"a chunk size with a space before", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n 3\r\nabc\r\n0\r\n\r\n", 400},
	{"a chunk size that overflows", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n", 400},
	{"a chunk size of many zeros", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0000000000000003\r\nabc\r\n0\r\n\r\n", 400},
	{"a chunk size with LF", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", 400},
	{"a chunk size with CR CR", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\rabc\r\n0\r\n\r\n", 400},
	{"a chunk longer than its size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", 400},
	{"a chunk that ends with LF", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n", 400},
	{"an extension with LF", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x\nabc\r\n0\r\n\r\n", 400},
	{"an extension with NUL", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;\x00\r\nabc\r\n0\r\n\r\n", 400},
	{"an extension without end", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;" + strings.Repeat("x", 5000), 400},
	{"a trailer with a length", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 3\r\n\r\n", 400},
	{"a trailer with a host", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: b\r\n\r\n", 400},
	{"a trailer that is folded", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n z\r\n\r\n", 400},
	{"a trailer with LF", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n", 400},
	{"a trailer that is too large", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + strings.Repeat("y", 3000), 431},

	// Limits, with those of testLimits.
	{"a request line at the limit", "GET /" + strings.Repeat("a", 1024-len("GET / HTTP/1.1\r\n")) + " HTTP/1.1\r\nHost: a\r\n\r\n", 200},
	{"a request line beyond the limit", "GET /" + strings.Repeat("a", 1025-len("GET / HTTP/1.1\r\n")) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
	{"a request line without end", strings.Repeat("a", 2000), 414},
	{"a head beyond the limit", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 2048) + "\r\n\r\n", 431},
	{"a head without end", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 2048), 431},
	{"fields at the limit", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 31) + "\r\n", 200},
	{"fields beyond the limit", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 32) + "\r\n", 431},
}

var testLimits = Limits{Line: 1024, Head: 2048, Fields: 32}

// message is what a request was understood as.
type message struct {
	status                      int // of the error; 200: there was none
	reason                      string
	method, target, path, host  string
	header, body, trailer, rest string
	complete                    bool
}

// read reads a request whose bytes come in pieces.
func read(limits Limits, pieces ...[]byte) (m message) {
	var r Request
	var body Body
	var inBody bool
	refuse := func(err error) message {
		var e *Error
		if !errors.As(err, &e) {
			panic(err)
		}
		return message{status: e.Status, reason: e.Reason}
	}
	for _, piece := range pieces {
		if m.complete {
			m.rest += string(piece)
			continue
		}
		if !inBody {
			n, done, err := r.Parse(piece, &limits)
			if err != nil {
				return refuse(err)
			}
			if !done {
				if n != len(piece) {
					panic("a part of an incomplete head was not taken")
				}
				continue
			}
			m.method, m.target, m.path, m.host = string(r.Method()), string(r.Target()), string(r.Path()), string(r.Host())
			m.header = string(r.Header.Append(nil))
			body.Begin(r.Framing(), r.Length(), &limits)
			inBody = true
			piece = piece[n:]
		}
		for len(piece) > 0 && !body.Done() {
			n, content, err := body.Next(piece)
			if err != nil {
				return refuse(err)
			}
			m.body += string(content)
			piece = piece[n:]
		}
		if body.Done() {
			m.complete = true
			m.trailer = string(body.Trailer().Append(nil))
			m.rest += string(piece)
		}
	}
	m.status = 200
	return m
}

func TestRefused(t *testing.T) {
	if len(refused) < 100 {
		t.Errorf("%d requests", len(refused))
	}
	for _, test := range refused {
		t.Run(test.name, func(t *testing.T) {
			text := []byte(test.text)
			m := read(testLimits, text)
			if m.status != test.status {
				t.Errorf("status %d (%s), want %d", m.status, m.reason, test.status)
			}
			if m.status == 200 && (!m.complete || m.rest != "") {
				t.Errorf("complete: %v, behind it %q", m.complete, m.rest)
			}
			checkSplits(t, testLimits, text)
		})
	}
}

// checkSplits checks that it does not matter how a request is cut.
func checkSplits(t *testing.T, limits Limits, text []byte) {
	t.Helper()
	want := read(limits, text)
	cut(text, func(how string, pieces ...[]byte) {
		if got := read(limits, pieces...); got != want {
			t.Fatalf("%s: %+v, want %+v", how, got, want)
		}
	})
}

// cut has a text read in two pieces, whichever they are, and a byte at a time.
func cut(text []byte, read func(how string, pieces ...[]byte)) {
	single := make([][]byte, 0, len(text))
	for i := range text {
		read(fmt.Sprintf("cut at %d", i), text[:i], text[i:])
		single = append(single, text[i:i+1])
	}
	read("a byte at a time", single...)
}
