package http1

import (
	"strings"
	"testing"
)

func TestRequest(t *testing.T) {
	text := "POST http://Example.com:8080/a/b?c=d HTTP/1.1\r\nHost: example.com:8080\r\nX-a:  1 \r\nConnection: keep-alive, X-B\r\n" +
		"x-A: 2\r\nX-B: hidden\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabcGET"
	m := read(DefaultLimits, []byte(text))
	want := message{
		status: 200, method: "POST", target: "http://Example.com:8080/a/b?c=d", path: "/a/b?c=d", host: "Example.com:8080",
		header: "Host: example.com:8080\r\nX-a: 1\r\nConnection: keep-alive, X-B\r\nx-A: 2\r\nX-B: hidden\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nContent-Length: 3\r\nExpect: 100-continue\r\n",
		body:   "abc", rest: "GET", complete: true,
	}
	if m != want {
		t.Errorf("%+v\nwant %+v", m, want)
	}

	var r Request
	if _, done, err := r.Parse([]byte(text), &DefaultLimits); !done || err != nil {
		t.Fatal(done, err)
	}
	if !r.KeepAlive() || !r.Continue() || r.Minor() != 1 || r.Length() != 3 || r.Framing() != ByLength {
		t.Errorf("keep-alive %v, continue %v, minor %d, length %d, %v", r.KeepAlive(), r.Continue(), r.Minor(), r.Length(), r.Framing())
	}
	r.RemoveHopByHop()
	r.Set("x-a", "3")
	r.Add("X-C", "4")
	r.Remove("EXPECT")
	if !r.SetPath("/new?x") || !r.SetMethod("PUT") || !r.SetHost("other") {
		t.Error("what is valid was refused")
	}
	if got, want := string(r.Append(r.AppendLine(nil))), "PUT /new?x HTTP/1.1\r\nHost: other\r\nX-a: 3\r\nContent-Length: 3\r\nX-C: 4\r\n"; got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
	for _, path := range []string{"", "x", "/a b", "/a\r\nX: y", "/%z", "http://a/"} {
		if r.SetPath(path) {
			t.Errorf("path %q was taken", path)
		}
	}
	if r.SetMethod("A B") || r.SetMethod("") || r.SetHost("a b") || r.SetHost("a/b") {
		t.Error("what is invalid was taken")
	}
	if string(r.Path()) != "/new?x" || string(r.Host()) != "other" {
		t.Errorf("path %q, host %q", r.Path(), r.Host())
	}
}

func TestPaths(t *testing.T) {
	for target, path := range map[string]string{
		"http://a": "/", "http://a?b": "/?b", "http://a/": "/", "HTTPS://a/x": "/x", "/": "/", "//x": "//x", "/%41?%zz": "/%41?%zz",
	} {
		if m := read(DefaultLimits, []byte("GET "+target+" HTTP/1.0\r\n\r\n")); m.path != path || m.status != 200 {
			t.Errorf("%s: path %q, %s", target, m.path, m.reason)
		}
	}
}

func TestAddRefusesLineEnds(t *testing.T) {
	for _, f := range [][2]string{{"X", "a\r\nY: b"}, {"X\n", "a"}, {"", "a"}, {"X: a\r\nY", "b"}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q: %q was added", f[0], f[1])
				}
			}()
			var h Header
			h.Add(f[0], f[1])
		}()
	}
}

// TestSetInPlace sees that a field which is set again and again, to values of a length,
// takes no more and more.
func TestSetInPlace(t *testing.T) {
	var h Header
	h.Add("A", "first")
	h.Add("B", "other")
	h.Set("a", strings.Repeat("x", 100))
	size := h.Size()
	for i := range 1000 {
		h.Set("a", strings.Repeat(string(rune('a'+i%26)), 100))
	}
	h.Set("A", "last")
	if got := string(h.Append(nil)); got != "A: last\r\nB: other\r\n" || h.Size() > size+100 {
		t.Errorf("%q, %d bytes after %d", got, h.Size(), size)
	}
}

func TestKeepAlive(t *testing.T) {
	for _, test := range []struct {
		version, connection string
		want                bool
	}{
		{"1.1", "", true},
		{"1.1", "close", false},
		{"1.1", "Keep-Alive, CLOSE", false},
		{"1.0", "", false},
		{"1.0", "keep-alive", true},
		{"1.0", "keep-alive, close", false},
	} {
		var r Request
		text := "GET / HTTP/" + test.version + "\r\nHost: a\r\nConnection: " + test.connection + "\r\n\r\n"
		if _, done, err := r.Parse([]byte(text), &DefaultLimits); !done || err != nil || r.KeepAlive() != test.want {
			t.Errorf("%+v: %v, %v, %v", test, done, err, r.KeepAlive())
		}
	}
}

func TestUpgrade(t *testing.T) {
	for _, test := range []struct{ head, want string }{
		{"HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket", "websocket"},
		{"HTTP/1.1\r\nHost: a\r\nUpgrade: websocket", ""},
		{"HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket", ""},
		{"HTTP/1.1\r\nHost: a\r\nConnection: Upgrade", ""},
	} {
		var r Request
		if _, done, err := r.Parse([]byte("GET / "+test.head+"\r\n\r\n"), &DefaultLimits); !done || err != nil || string(r.Upgrade()) != test.want {
			t.Errorf("%q: %v, %v, %q", test.head, done, err, r.Upgrade())
		}
		r.RemoveHopByHop()
		if kept := r.Find("upgrade", 0) >= 0; kept != (test.want != "") {
			t.Errorf("%q: Upgrade kept: %v", test.head, kept)
		}
	}
}

// What the sender must not hide from the server by naming it in Connection stays.
func TestConnectionNamesWhatIsNotItsOwn(t *testing.T) {
	var r Request
	text := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nX: y\r\nConnection: close, host, content-length, x\r\n\r\n"
	if _, done, err := r.Parse([]byte(text), &DefaultLimits); !done || err != nil {
		t.Fatal(done, err)
	}
	r.RemoveHopByHop()
	if got, want := string(r.Append(nil)), "Host: a\r\nContent-Length: 1\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestResponse(t *testing.T) {
	for _, test := range []struct {
		name, text, method string
		framing            Framing
		err                bool
	}{
		{"a length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "GET", ByLength, false},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", Chunked, false},
		{"neither", "HTTP/1.1 200 OK\r\n\r\n", "GET", UntilClose, false},
		{"length 0", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "GET", NoBody, false},
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HEAD", NoBody, false},
		{"204", "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", "GET", NoBody, false},
		{"304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", "GET", NoBody, false},
		{"100", "HTTP/1.1 100 Continue\r\n\r\n", "GET", NoBody, false},
		{"no reason", "HTTP/1.1 200 \r\n\r\n", "GET", UntilClose, false},
		{"no space behind the status", "HTTP/1.1 200\r\n\r\n", "GET", UntilClose, false},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n", "GET", UntilClose, false},
		{"length and chunked", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", 0, true},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", "GET", 0, true},
		{"another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "GET", 0, true},
		{"chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", 0, true},
		{"LF alone", "HTTP/1.1 200 OK\n\n", "GET", 0, true},
		{"a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", "GET", 0, true},
		{"a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", "GET", 0, true},
		{"status 099", "HTTP/1.1 099 OK\r\n\r\n", "GET", 0, true},
		{"a status with a sign", "HTTP/1.1 +20 OK\r\n\r\n", "GET", 0, true},
		{"another version", "HTTP/2.0 200 OK\r\n\r\n", "GET", 0, true},
		{"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", "GET", 0, true},
		{"NUL in the reason", "HTTP/1.1 200 O\x00K\r\n\r\n", "GET", 0, true},
		{"a folded line", "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", "GET", 0, true},
		{"a head without end", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 3000), "GET", 0, true},
		{"a status line without end", "HTTP/1.1 200 " + strings.Repeat("y", 3000), "GET", 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			cut([]byte(test.text), func(how string, pieces ...[]byte) {
				var r Response
				var n int
				var done bool
				var err error
				for _, piece := range pieces {
					if err != nil {
						break // it was refused before its end
					}
					if done {
						t.Fatalf("%s: done before its end", how)
					}
					var used int
					used, done, err = r.Parse(piece, &testLimits, []byte(test.method))
					n += used
				}
				switch {
				case test.err:
					if err == nil {
						t.Fatalf("%s: it was taken", how)
					}
				case err != nil || !done || n != len(test.text) || r.Framing() != test.framing:
					t.Fatalf("%s: %d, %v, %v, %v", how, n, done, err, r.Framing())
				}
			})
		})
	}
}

// Responses with their bodies are the same however they are cut.
func TestResponseInPieces(t *testing.T) {
	for _, text := range responses {
		for _, method := range []string{"GET", "HEAD"} {
			want, ok := readResponse(method, []byte(text))
			cut([]byte(text), func(how string, pieces ...[]byte) {
				if got, ok2 := readResponse(method, pieces...); got != want || ok2 != ok {
					t.Errorf("%s, %q, %s: %+v %v, want %+v %v", method, text, how, got, ok2, want, ok)
				}
			})
		}
	}
}

func TestAppendChunks(t *testing.T) {
	var trailer Header
	trailer.Add("X", "y")
	out := AppendChunk(nil, []byte("abc"))
	out = AppendChunk(out, nil)
	out = AppendChunk(out, []byte(strings.Repeat("d", 300)))
	out = AppendLastChunk(out, &trailer)
	want := "3\r\nabc\r\n12c\r\n" + strings.Repeat("d", 300) + "\r\n0\r\nX: y\r\n\r\n"
	if string(out) != want {
		t.Errorf("%q, want %q", out, want)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	text := []byte("POST /a HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n")
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nServer: x\r\n\r\n")
	var r Request
	var p Response
	var b Body
	var out []byte
	if n := testing.AllocsPerRun(100, func() {
		r.Reset()
		p.Reset()
		n, _, _ := r.Parse(text, &DefaultLimits)
		b.Begin(r.Framing(), r.Length(), &DefaultLimits)
		for rest := text[n:]; !b.Done(); rest = rest[n:] {
			n, _, _ = b.Next(rest)
		}
		r.RemoveHopByHop()
		r.Set("X-Forwarded-For", "192.0.2.1")
		out = r.Append(r.AppendLine(out[:0]))
		_, _, _ = p.Parse(answer, &DefaultLimits, r.Method())
		out = p.Append(p.AppendLine(out[:0]))
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRequest(b *testing.B) {
	text := []byte("GET /index.html?x=1 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n" +
		"Accept-Encoding: gzip, deflate, br\r\nCookie: session=0123456789abcdef0123456789abcdef\r\nConnection: keep-alive\r\n\r\n")
	var r Request
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		r.Reset()
		if _, done, err := r.Parse(text, &DefaultLimits); !done || err != nil {
			b.Fatal(done, err)
		}
	}
}
