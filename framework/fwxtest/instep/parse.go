package instep

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
)

// message is a request or a response as its receiver reads it.
type message struct {
	method  string // of a request
	status  int    // of a response
	header  http.Header
	trailer http.Header // set when the message is complete
	body    string
	close   bool // the connection ends after this message
	until   bool // the end of the connection ends the body
}

// errIncomplete is returned for a message of which more is to come.
var errIncomplete = errors.New("incomplete")

var (
	requestLine = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP/1\\.1$")
	statusLine  = regexp.MustCompile(`^HTTP/1\.1 [1-5][0-9][0-9] [ -~]*$`)
	fieldLine   = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t -~]*$")
)

// checkHead looks at the lines of a head, and returns how often it has a field.
func checkHead(text string, first *regexp.Regexp) (count map[string]int, err error) {
	head, _, whole := strings.Cut(text, "\r\n\r\n")
	if !whole {
		return nil, errIncomplete
	}
	lines := strings.Split(head, "\r\n")
	if !first.MatchString(lines[0]) {
		return nil, fmt.Errorf("the first line is %q", lines[0])
	}
	count = make(map[string]int)
	for _, line := range lines[1:] {
		if !fieldLine.MatchString(line) {
			return nil, fmt.Errorf("a field line is %q", line)
		}
		name, value, _ := strings.Cut(line, ": ")
		name = strings.ToLower(name)
		if count[name]++; name == "transfer-encoding" && value != "chunked" {
			return nil, fmt.Errorf("transfer coding %q", value)
		}
	}
	for _, name := range []string{"host", "connection", "x-request-id", "n"} {
		if count[name] > 1 {
			return nil, fmt.Errorf("%d fields %s", count[name], name)
		}
	}
	if count["content-length"]+count["transfer-encoding"] > 1 {
		return nil, fmt.Errorf("%d lengths and %d transfer codings", count["content-length"], count["transfer-encoding"])
	}
	return count, nil
}

// readRequest reads a request from the beginning of a text, and returns how much of it that
// was. With errIncomplete it returns what it has: without a method, not all of the head.
func readRequest(text string) (m message, used int, err error) {
	count, err := checkHead(text, requestLine)
	if err != nil {
		return m, 0, err
	}
	if count["host"] != 1 {
		return m, 0, fmt.Errorf("%d fields host", count["host"])
	}
	all := strings.NewReader(text)
	r := bufio.NewReader(all)
	q, err := http.ReadRequest(r)
	if err != nil {
		return m, 0, err
	}
	m = message{method: q.Method, header: q.Header, close: q.Close}
	if m.body, err = readAll(q.Body); err == nil {
		m.trailer = q.Trailer
	}
	return m, len(text) - r.Buffered() - all.Len(), err
}

// readResponse reads the response to a request with a method. ended says that nothing
// follows the text, and that its sender has said so.
func readResponse(text, method string, ended bool) (m message, used int, err error) {
	count, err := checkHead(text, statusLine)
	if err != nil {
		return m, 0, err
	}
	all := strings.NewReader(text)
	r := bufio.NewReader(all)
	p, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		return m, 0, err
	}
	defer func() { _ = p.Body.Close() }() // it is in memory
	m = message{status: p.StatusCode, header: p.Header, close: p.Close}
	if framed := count["content-length"] + count["transfer-encoding"]; framed > 0 && (m.status < 200 || m.status == 204) {
		return m, 0, fmt.Errorf("a %d says how long it is", m.status)
	}
	bodiless := method == "HEAD" || m.status < 200 || m.status == 204 || m.status == 304
	m.until = !bodiless && count["content-length"]+count["transfer-encoding"] == 0
	if m.body, err = readAll(p.Body); err == nil {
		m.trailer = p.Trailer
	}
	if m.until && !ended {
		err = errIncomplete
	}
	return m, len(text) - r.Buffered() - all.Len(), err
}

func readAll(body io.ReadCloser) (string, error) {
	text, err := io.ReadAll(body)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errIncomplete
	}
	return string(text), err
}
