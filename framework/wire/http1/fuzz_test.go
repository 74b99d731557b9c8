package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// FuzzRequest checks that reading a request never panics, does not depend on where the
// bytes are cut, and never understands a request otherwise than net/http, which may
// take more.
func FuzzRequest(f *testing.F) {
	for _, test := range refused {
		f.Add([]byte(test.text), uint16(len(test.text)/2))
	}
	f.Fuzz(func(t *testing.T, text []byte, cut uint16) {
		want := read(testLimits, text)
		at := int(cut) % (len(text) + 1)
		if got := read(testLimits, text[:at], text[at:]); got != want {
			t.Fatalf("cut at %d: %+v, want %+v", at, got, want)
		}
		switch {
		case want.status != 200:
		case want.complete:
			compareRequest(t, text, want)
		default:
			notComplete(t, text)
		}
	})
}

// notComplete has net/http find no end of a request either of which more is waited for here.
func notComplete(t *testing.T, text []byte) {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReaderSize(bytes.NewReader(bytes.TrimPrefix(text, []byte("\r\n"))), 64<<10))
	if err != nil {
		return
	}
	if body, err := io.ReadAll(r.Body); err == nil {
		t.Fatalf("net/http: %s %s, which ends behind the body %q", r.Method, r.RequestURI, body)
	}
}

// readMessage reads the body that net/http has found, and what is behind the message.
func readMessage(t *testing.T, from, behind io.Reader) (body, rest []byte) {
	t.Helper()
	body, err := io.ReadAll(from)
	if err != nil {
		t.Fatalf("net/http refuses the body: %v", err)
	}
	if rest, err = io.ReadAll(behind); err != nil {
		t.Fatal(err)
	}
	return body, rest
}

// compareRequest reads a request by net/http.
func compareRequest(t *testing.T, text []byte, m message) {
	t.Helper()
	text = bytes.TrimPrefix(text, []byte("\r\n")) // an empty line first, which net/http refuses
	reader := bufio.NewReaderSize(bytes.NewReader(text), 64<<10)
	r, err := http.ReadRequest(reader)
	if err != nil {
		if strings.Contains(err.Error(), "bad trailer key") { // in a Trailer field, which is only an announcement
			return
		}
		t.Fatalf("net/http refuses it: %v", err)
	}
	body, rest := readMessage(t, r.Body, reader)
	host := m.host
	if r.Method != m.method || r.RequestURI != m.target || r.Host != host || string(body) != m.body || string(rest) != m.rest {
		t.Fatalf("net/http: %s %s, host %q, body %q, behind it %q\nhere: %+v", r.Method, r.RequestURI, r.Host, body, rest, m)
	}
	compareFields(t, r.Header, m.header)
	compareFields(t, arrived(r.Trailer), m.trailer)
}

// arrived returns the fields of a trailer without those that were announced and have not come.
func arrived(trailer http.Header) http.Header {
	fields := http.Header{}
	for name, values := range trailer {
		if values != nil {
			fields[name] = values
		}
	}
	return fields
}

// compareFields compares fields with those that net/http has read, without those that it
// takes away and adds.
func compareFields(t *testing.T, theirs http.Header, lines string) {
	t.Helper()
	ours := http.Header{}
	for line := range strings.SplitSeq(lines, "\r\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			ours.Add(name, value)
		}
	}
	for _, h := range []http.Header{ours, theirs} {
		for _, name := range []string{"Host", "Transfer-Encoding", "Content-Length", "Trailer", "Cache-Control"} {
			h.Del(name)
		}
	}
	if !maps.EqualFunc(ours, theirs, slices.Equal) {
		t.Fatalf("net/http has the fields %q, here they are %q", theirs, ours)
	}
}

// responses are what FuzzResponse begins with.
var responses = []string{
	"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nX: y\r\n\r\nHTTP",
	"HTTP/1.0 200 OK\r\nX: y\r\nX: z\r\n\r\nabc",
	"HTTP/1.1 204 No Content\r\n\r\nHTTP",
	"HTTP/1.1 304\r\nContent-Length: 3\r\n\r\n",
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
}

// FuzzResponse is FuzzRequest for responses.
func FuzzResponse(f *testing.F) {
	for _, text := range responses {
		f.Add([]byte(text), uint16(20), false)
		f.Add([]byte(text), uint16(3), true)
	}
	f.Fuzz(func(t *testing.T, text []byte, cut uint16, head bool) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		want, ok := readResponse(method, text)
		at := int(cut) % (len(text) + 1)
		if got, ok2 := readResponse(method, text[:at], text[at:]); got != want || ok != ok2 {
			t.Fatalf("cut at %d: %+v %v, want %+v %v", at, got, ok2, want, ok)
		}
		if ok {
			compareResponse(t, method, text, want)
		}
	})
}

// answer is what a response was understood as.
type answer struct {
	status                                int
	reason, header, body, trailer, behind string
	refused                               string // why
}

// readResponse reads a response whose bytes come in pieces and then end; false if it is
// refused or incomplete.
func readResponse(method string, pieces ...[]byte) (a answer, ok bool) {
	var r Response
	var body Body
	begun := false
	refuse := func(err error) (answer, bool) {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			panic(err)
		}
		return answer{refused: e.Reason}, false
	}
	for _, piece := range pieces {
		if !begun {
			n, done, err := r.Parse(piece, &testLimits, []byte(method))
			if err != nil {
				return refuse(err)
			}
			if !done {
				continue
			}
			begun, piece = true, piece[n:]
			body.Begin(r.Framing(), r.Length(), &testLimits)
			a.status, a.reason, a.header = r.Status(), string(r.Reason()), string(r.Header.Append(nil))
		}
		for len(piece) > 0 && !body.Done() {
			n, content, err := body.Next(piece)
			if err != nil {
				return refuse(err)
			}
			a.body += string(content)
			piece = piece[n:]
		}
		a.behind += string(piece)
	}
	if !begun || !body.Done() && r.Framing() != UntilClose {
		return answer{}, false
	}
	a.trailer = string(body.Trailer().Append(nil))
	return a, true
}

func compareResponse(t *testing.T, method string, text []byte, a answer) {
	t.Helper()
	text = bytes.TrimPrefix(text, []byte("\r\n"))
	reader := bufio.NewReaderSize(bytes.NewReader(text), 64<<10)
	r, err := http.ReadResponse(reader, &http.Request{Method: method})
	if err != nil {
		if strings.Contains(err.Error(), "bad trailer key") {
			return
		}
		t.Fatalf("net/http refuses it: %v", err)
	}
	body, rest := readMessage(t, r.Body, reader)
	if r.StatusCode != a.status || string(body) != a.body || string(rest) != a.behind {
		t.Fatalf("net/http: %d, body %q, behind it %q\nhere: %+v", r.StatusCode, body, rest, a)
	}
	compareFields(t, r.Header, a.header)
	compareFields(t, arrived(r.Trailer), a.trailer)
}
