package instep

import (
	"strings"
	"testing"
)

// What net/http has read is compared with what llhttp reads, down to the byte.
func TestLLHTTPReadsTheSame(t *testing.T) {
	const (
		two     = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nN: 1\r\n\r\nok"
		chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"
		both    = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
		until   = "HTTP/1.1 200 OK\r\n\r\nok"
		ended   = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
		post    = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok"
	)
	get, head := request{method: "GET", minor: 1}, request{method: "HEAD", minor: 1}
	llhttp := newReader(t)
	if llhttp == nil {
		return
	}
	for _, test := range []struct {
		name    string
		text    string
		asked   []request // none: it is a stream of requests
		change  func(*stream)
		problem string // empty: none
	}{
		{"lengths", two + two, []request{get, get}, nil, ""},
		{"a body that HEAD does not have", strings.TrimSuffix(two, "ok") + two, []request{head, get}, nil, ""},
		{"an interim response", "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + two, []request{get}, nil, ""},
		{"chunks", chunked + two, []request{get, get}, nil, ""},
		{"until the end", two + until, []request{get, get}, nil, ""},
		{"a response that is cut off", two + two[:len(two)-1], []request{get, get}, nil, ""},
		{"a head that is cut off", two + two[:20], []request{get, get}, nil, ""},
		{"requests", post + post, nil, nil, ""},
		{"a request that is cut off", post + post[:len(post)-1], nil, nil, ""},

		{"an end too early", two, []request{get}, func(s *stream) { s.Ends[0]-- }, "ends at"},
		{"an end too late", two + two, []request{get, get}, func(s *stream) { s.Ends[0]++ }, "ends at"},
		{"another method", two + two, []request{get, get}, func(s *stream) { s.Methods[0] = "HEAD" }, "HPE_INVALID_CONSTANT"},
		{"another body", chunked, []request{get}, func(s *stream) { s.messages[0].body = "oh" }, "a body of 2 bytes"},
		{"another status", two, []request{get}, func(s *stream) { s.messages[0].status = 201 }, "is  200"},
		{"another trailer", chunked, []request{get}, func(s *stream) { s.messages[0].trailer = nil }, "trailer"},
		{"another field", two, []request{get}, func(s *stream) { s.messages[0].header.Set("N", "2") }, "fields"},
		{"a message that net/http does not see", two + two, []request{get, get}, func(s *stream) { s.Ends, s.messages = s.Ends[:1], s.messages[:1] }, "2 messages, not 1"},
		{"one that llhttp does not see", two, []request{get}, func(s *stream) { s.Text = s.Text[:9] }, "0 messages, not 1"},
		{"something after the last response", ended, []request{get}, func(s *stream) { s.Text = append(s.Text, 'x') }, "HPE_CLOSED_CONNECTION"},
		{"two framings", two + both, []request{get}, nil, "HPE_"},
	} {
		s := &stream{Response: test.asked != nil, Text: []byte(test.text), Over: true}
		for text := test.text; text != ""; text = test.text[s.end():] {
			if test.asked == nil {
				m, used, err := readRequest(text)
				if s.add(m, s.end()+used, err == nil); err != nil {
					break
				}
				continue
			}
			if len(s.Methods) == len(test.asked) {
				break
			}
			q := test.asked[len(s.Methods)]
			s.Methods = append(s.Methods, q.method)
			if _, _, err := s.readFinal(text, q); err != nil {
				break
			}
		}
		if test.change != nil {
			test.change(s)
		}
		err := llhttp.check([]*stream{s})
		switch {
		case test.problem == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.problem != "" && (err == nil || !strings.Contains(err.Error(), test.problem)):
			t.Errorf("%s: %v, want %q", test.name, err, test.problem)
		}
	}
}
