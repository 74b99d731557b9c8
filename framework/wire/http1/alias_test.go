package http1

import (
	"strings"
	"testing"
)

// What servers take for a field that is set or removed goes with it, and what they take
// for one that only the sender writes goes on to nobody.
func TestAliases(t *testing.T) {
	const head = "GET / HTTP/1.1\r\nHost: a\r\nX_Client: 1\r\nX-Client: 2\r\nx_client: 3\r\nX-Other: 4\r\nContent_Length: 5\r\nTransfer_Encoding: chunked\r\nte_: 6\r\n\r\n"
	for want, change := range map[string]func(r *Request){
		"Host X_Client X-Client x_client X-Other te_": func(*Request) {},
		"Host X-Client X-Other te_":                   func(r *Request) { r.Set("x-client", "new") },
		"Host X-Other te_":                            func(r *Request) { r.Remove("X-Client") },
		"Host X-Client X-Other te_ ":                  func(r *Request) { r.RemoveAliases("x-client") },
		"Host X_Client X-Client X-Other te_":          func(r *Request) { r.Set("x_client", "new") },
		"Host X-Client X-Other te_  ":                 func(r *Request) { r.Remove("X_client") },
		"Host X_Client X-Client x_client te_ X-Other": func(r *Request) { r.Remove("X-Other"); r.Set("X-Other", "new") },
	} {
		r, err := parsed(head)
		if err != nil {
			t.Fatal(err)
		}
		r.RemoveHopByHop()
		change(r)
		if got := namesOr(&r.Header, nil); got != strings.TrimSpace(want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Trailer fields that belong in the head are dropped.
func TestTrailersOfTheHead(t *testing.T) {
	var b Body
	b.Begin(Chunked, 0, &DefaultLimits)
	_, _, err := b.Next([]byte("0\r\nX-Sum: 1\r\nX-Forwarded-For: 2\r\nx_forwarded_for: 3\r\nAUTHORIZATION: 4\r\nSet-Cookie: 5\r\nLocation: 6\r\nTE: 7\r\n" +
		"Upgrade: 8\r\nTransfer_Encoding: 9\r\nServer-Timing: 10\r\n\r\n"))
	if got := string(b.Trailer().Append(nil)); err != nil || !b.Done() || got != "X-Sum: 1\r\nServer-Timing: 10\r\n" {
		t.Errorf("%q, %v", got, err)
	}
	if ValidTrailer([]byte("Cookie")) || !ValidTrailer([]byte("ETag")) {
		t.Error("the wrong fields may be trailers")
	}
}

// A length goes on as others write it.
func TestLengthIsWrittenAnew(t *testing.T) {
	r, err := parsed("POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 0005\r\nX: y\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	r.SetLength(r.Length())
	if got := string(r.Append(nil)); got != "Host: a\r\ncontent-length: 5\r\nX: y\r\n" {
		t.Errorf("%q", got)
	}
}

// The setting for underscores concerns heads and trailer sections.
func TestUnderscores(t *testing.T) {
	const head = "GET / HTTP/1.1\r\nHost: a\r\nmy_field: 1\r\nmine: 2\r\n\r\n"
	const chunks = "0\r\nmy_trailer: 1\r\nmine: 2\r\n\r\n"
	for underscores, want := range map[Underscores][2]string{
		PassUnderscores:   {"Host my_field mine", "my_trailer mine"},
		DropUnderscores:   {"Host mine", "mine"},
		RejectUnderscores: {"400: a field name has an underscore", "400: a field name has an underscore"},
	} {
		limits := DefaultLimits
		limits.Underscores = underscores
		var r Request
		_, _, err := r.Parse([]byte(head), &limits)
		var b Body
		b.Begin(Chunked, -1, &limits)
		_, _, bodyErr := b.Next([]byte(chunks))
		for i, got := range []string{namesOr(&r.Header, err), namesOr(b.Trailer(), bodyErr)} {
			if got != want[i] {
				t.Errorf("underscores %d: %q, want %q", underscores, got, want[i])
			}
		}
	}
}

// namesOr returns the names of the fields, or the error.
func namesOr(h *Header, err error) string {
	if err != nil {
		return err.Error()
	}
	names := make([]string, h.Len())
	for i := range names {
		names[i] = string(h.Name(i))
	}
	return strings.Join(names, " ")
}
