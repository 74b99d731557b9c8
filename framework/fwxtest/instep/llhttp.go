package instep

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"testing"

	"fwx/framework/fwxtest"
)

//go:embed llhttp.js
var program string

// stream is all that has come from the gateway on a connection, and the messages that the
// reader of net/http has found in it.
type stream struct {
	Response bool     `json:"response"`          // it is one of responses
	Methods  []string `json:"methods,omitempty"` // of the requests that they answer
	Text     []byte   `json:"text"`
	Ends     []int    `json:"ends,omitempty"` // of the messages that are complete
	Over     bool     `json:"over"`           // nothing follows, and its sender has said so

	messages []message // the last may be incomplete
}

// add adds a message of which all has come, or some.
func (s *stream) add(m message, used int, whole bool) {
	s.messages = append(s.messages, m)
	if whole {
		s.Ends = append(s.Ends, used)
	}
}

// end is the end of the messages that are complete.
func (s *stream) end() int {
	if len(s.Ends) == 0 {
		return 0
	}
	return s.Ends[len(s.Ends)-1]
}

// reading is what llhttp has read in a stream.
type reading struct {
	Messages []struct {
		Method  string      `json:"method"`
		Status  int         `json:"status"`
		Fields  [][2]string `json:"fields"`
		Trailer [][2]string `json:"trailer"`
		Length  int         `json:"length"`
		Hash    string      `json:"hash"` // SHA-256 of the body
		End     int         `json:"end"`  // -1: it is incomplete
	} `json:"messages"`
	Error string `json:"error"`
}

// reader is a process that reads streams with llhttp.
type reader struct {
	in  io.WriteCloser
	out *bufio.Reader
}

// newReader starts a reader that ends with the test. Without node it returns nil, and a
// test within the test is skipped, or fails, as tests are that miss a program.
func newReader(t *testing.T) *reader {
	t.Helper()
	var node string
	t.Run("llhttp", func(t *testing.T) { node = fwxtest.Require(t, "node") })
	if node == "" {
		return nil
	}
	cmd := exec.CommandContext(t.Context(), node, "-e", program) //nolint:gosec // our own program
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	cmd.Stderr = t.Output()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	r := &reader{in: in, out: bufio.NewReader(out)}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait() // the context of the test has ended it, perhaps
	})
	return r
}

// check reports where llhttp reads something else in streams than net/http has.
func (r *reader) check(streams []*stream) error {
	question, err := json.Marshal(streams)
	if err != nil {
		return err
	}
	if _, err := r.in.Write(append(question, '\n')); err != nil {
		return fmt.Errorf("asking node: %w", err)
	}
	answer, err := r.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("hearing from node: %w", err)
	}
	var readings []reading
	if err := json.Unmarshal(answer, &readings); err != nil {
		return err
	}
	for i, s := range streams {
		if err := s.compare(readings[i]); err != nil {
			return fmt.Errorf("llhttp reads %.2000q in another way: %w", s.Text, err)
		}
	}
	return nil
}

// compare reports in what a reading differs from that of net/http.
func (s *stream) compare(r reading) error {
	if r.Error != "" {
		return errors.New(r.Error)
	}
	if len(r.Messages) != len(s.messages) {
		return fmt.Errorf("%d messages, not %d", len(r.Messages), len(s.messages))
	}
	for i, got := range r.Messages {
		want, end := s.messages[i], -1
		if i < len(s.Ends) {
			end = s.Ends[i]
		}
		sum := sha256.Sum256([]byte(want.body))
		switch {
		case got.Method != want.method || got.Status != want.status:
			return fmt.Errorf("message %d is %s %d, not %s %d", i, got.Method, got.Status, want.method, want.status)
		case got.End != end:
			return fmt.Errorf("message %d ends at %d, not %d (-1: it does not)", i, got.End, end)
		case got.Length != len(want.body) || got.Hash != hex.EncodeToString(sum[:]):
			return fmt.Errorf("message %d has a body of %d bytes, not %.200q", i, got.Length, want.body)
		case !same(got.Fields, want.header) || !same(got.Trailer, want.trailer):
			return fmt.Errorf("message %d has the fields %v and the trailer %v, not %v and %v", i, got.Fields, got.Trailer, want.header, want.trailer)
		}
	}
	return nil
}

// framing are the fields that net/http keeps to itself.
var framing = []string{"Host", "Content-Length", "Transfer-Encoding", "Trailer", "Connection"}

// same reports whether a list of fields is a header.
func same(list [][2]string, header http.Header) bool {
	fields := make(http.Header)
	for _, f := range list {
		fields.Add(f[0], f[1])
	}
	for name := range header {
		if _, ok := fields[name]; !ok {
			return false
		}
	}
	for name, values := range fields {
		if !slices.Contains(framing, name) && !slices.Equal(values, header[name]) {
			return false
		}
	}
	return true
}
