package framework

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"fwx/framework/completion"
)

// answeringFiles is an HTTP filter that answers with the file of the request's path in a
// directory. opened is called with each that is open; it may be nil.
func answeringFiles(t *testing.T, dir string, status int, fields []Field, opened func(x *Exchange)) *testHTTP {
	t.Helper()
	return &testHTTP{request: func(x *Exchange) Verdict {
		w := x.Connection().Worker()
		o := w.CreateOverlapped()
		serial := x.Serial()
		err := o.SetNotificationInterface(completion.CompletionFunc(func(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
			v := Fail(fmt.Sprint(err))
			if err == nil {
				v = AnswerFile(status, fields, o.TakeValue().(*completion.Handle))
			}
			if opened != nil && x.Serial() == serial {
				opened(x)
			}
			_ = x.Resume(Upstream, v) // its end is part of the test
		}), nil)
		if err == nil {
			name, _, _ := strings.Cut(string(x.Request().Path()), "?")
			err = w.OpenFile(o, nil, filepath.Join(dir, name), os.O_RDONLY, 0)
		}
		if err != nil {
			return Fail(err.Error())
		}
		return Hold
	}}
}

func TestHTTPAnswerFile(t *testing.T) {
	dir := t.TempDir()
	content := random(300_000)
	file := filepath.Join(dir, "file")
	check(t, os.WriteFile(file, content, 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "empty"), nil, 0o600))
	check(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	modified := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	check(t, os.Chtimes(file, modified, modified))
	date, before, after := modified.Format(http.TimeFormat), modified.Add(-time.Second).Format(http.TimeFormat), modified.Add(time.Second).Format(http.TimeFormat)
	unreachable := httpServerOf(t, func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") })
	all := string(content)
	for _, backend := range completion.Backends() {
		t.Run(backend, func(t *testing.T) {
			g := startGateway(t, httpConfig(backend, unreachable, attaching(answeringFiles(t, dir, 200, []Field{{"Content-Type", "text/x"}}, nil))))
			c := g.dial(t)
			r := bufio.NewReader(c)
			get := func(line, fields string) (*http.Response, string) {
				t.Helper()
				_, err := io.WriteString(c, line+" HTTP/1.1\r\nHost: a\r\n"+fields+"\r\n")
				check(t, err)
				method, _, _ := strings.Cut(line, " ")
				return answerOf(t, r, method)
			}
			p, body := get("GET /file", "")
			tag := p.Header.Get("ETag")
			if p.StatusCode != 200 || body != all || p.ContentLength != 300_000 || p.Header.Get("Content-Type") != "text/x" ||
				p.Header.Get("Last-Modified") != date || !strings.HasPrefix(tag, `"`) || p.Header.Get("Accept-Ranges") != "bytes" {
				t.Fatalf("%s, %d bytes, %v", p.Status, len(body), p.Header)
			}
			for _, test := range []struct {
				line, fields string
				status       int
				body         string
				part         string // Content-Range
			}{
				{"HEAD /file", "", 200, "", ""},
				{"HEAD /file", "Range: bytes=1-2\r\n", 200, "", ""},
				{"GET /empty", "", 200, "", ""},
				{"GET /empty", "Range: bytes=0-0\r\n", 416, "", "bytes */0"},
				{"GET /folder", "", 404, "*", ""},
				{"GET /file", "Range: bytes=0-0\r\n", 206, all[:1], "bytes 0-0/300000"},
				{"GET /file", "Range: bytes=100000-299999\r\n", 206, all[100_000:], "bytes 100000-299999/300000"},
				{"GET /file", "Range: Bytes=299990-\r\n", 206, all[299_990:], "bytes 299990-299999/300000"},
				{"GET /file", "Range: bytes=-5\r\n", 206, all[299_995:], "bytes 299995-299999/300000"},
				{"GET /file", "Range: bytes=5-99999999999999999999\r\n", 206, all[5:], "bytes 5-299999/300000"},
				{"GET /file", "Range: bytes=-99999999999999999999\r\n", 206, all, "bytes 0-299999/300000"},
				{"GET /file", "Range: bytes=300000-\r\n", 416, "", "bytes */300000"},
				{"GET /file", "Range: bytes=-0\r\n", 416, "", "bytes */300000"},
				{"GET /file", "Range: bytes=2-1\r\n", 200, all, ""},
				{"GET /file", "Range: bytes=-\r\n", 200, all, ""},
				{"GET /file", "Range: bytes=a-b\r\n", 200, all, ""},
				{"GET /file", "Range: bytes=0-1,4-5\r\n", 200, all, ""},
				{"GET /file", "Range: lines=0-1\r\n", 200, all, ""},
				{"GET /file", "If-None-Match: " + tag + "\r\n", 304, "", ""},
				{"GET /file", "If-None-Match: \"x,y\", W/" + tag + "\r\n", 304, "", ""},
				{"GET /file", "If-None-Match: \"x\"\r\nIf-None-Match: *\r\n", 304, "", ""},
				{"GET /file", "If-None-Match: \"x\"\r\nIf-Modified-Since: " + date + "\r\n", 200, all, ""},
				{"GET /file", "If-Modified-Since: " + date + "\r\n", 304, "", ""},
				{"HEAD /file", "If-Modified-Since: " + after + "\r\n", 304, "", ""},
				{"GET /file", "If-Modified-Since: " + before + "\r\n", 200, all, ""},
				{"GET /file", "If-Modified-Since: yesterday\r\n", 200, all, ""},
				{"GET /file", "If-Match: W/" + tag + "\r\n", 412, "", ""},
				{"GET /file", "If-Match: " + tag + "\r\n", 200, all, ""},
				{"GET /file", "If-Unmodified-Since: " + before + "\r\n", 412, "", ""},
				{"GET /file", "If-Range: " + tag + "\r\nRange: bytes=0-1\r\n", 206, all[:2], "bytes 0-1/300000"},
				{"GET /file", "If-Range: \"x\"\r\nRange: bytes=0-1\r\n", 200, all, ""},
				{"GET /file", "If-Range: " + date + "\r\nRange: bytes=0-1\r\n", 206, all[:2], "bytes 0-1/300000"},
				{"GET /file", "If-Range: " + before + "\r\nRange: bytes=0-1\r\n", 200, all, ""},
				{"OPTIONS /file", "Range: bytes=0-1\r\nIf-None-Match: *\r\n", 200, all, ""},
			} {
				p, body := get(test.line, test.fields)
				if p.StatusCode != test.status || body != test.body && test.body != "*" || p.Header.Get("Content-Range") != test.part || p.Close {
					t.Errorf("%s %q: %s, %d bytes, %v", test.line, test.fields, p.Status, len(body), p.Header)
				}
				if test.line == "HEAD /file" && test.status == 200 && p.ContentLength != 300_000 {
					t.Errorf("HEAD: length %d", p.ContentLength)
				}
			}
			// What is left of a request's body is not waited for.
			if p, body := get("POST /file", "Content-Length: 100000000\r\n\r\n"+strings.Repeat("x", 100_000)); p.StatusCode != 200 || body != all || !p.Close {
				t.Errorf("%s, %d bytes, close %v", p.Status, len(body), p.Close)
			}
		})
	}
}

// An answer has the status and the validators that the filter gives it.
func TestHTTPAnswerFileOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o600))
	server := httpServerOf(t, mirror)
	own := startHTTP(t, server, nil, attaching(answeringFiles(t, dir, 200, []Field{{"etag", `W/"mine"`}, {"Last-Modified", "Thu, 29 Feb 2024 12:00:00 GMT"}}, nil)))
	if p, _ := ask(t, own.dial(t), "GET /file HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"mine\"\r\n\r\n"); p.StatusCode != 304 || len(p.Header["Etag"]) != 1 || len(p.Header["Last-Modified"]) != 1 {
		t.Errorf("%s %v", p.Status, p.Header)
	}
	page := startHTTP(t, server, nil, attaching(answeringFiles(t, dir, 404, nil, nil)))
	if p, body := ask(t, page.dial(t), "GET /file HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\nIf-None-Match: *\r\n\r\n"); p.StatusCode != 404 || body != "content" || p.Header.Get("ETag") != "" {
		t.Errorf("%s %q %v", p.Status, body, p.Header)
	}
	wrong := startHTTP(t, server, nil, attaching(answeringFiles(t, dir, 99, nil, nil)))
	if p, _ := ask(t, wrong.dial(t), "GET /file HTTP/1.1\r\nHost: a\r\n\r\n"); p.StatusCode != 500 {
		t.Error(p.Status)
	}
}

// A file that becomes shorter breaks the response off, whatever was promised.
func TestHTTPAnswerFileShrinks(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	check(t, os.WriteFile(file, nil, 0o600))
	check(t, os.Truncate(file, 64<<20))
	g := startHTTP(t, httpServerOf(t, mirror), nil, attaching(answeringFiles(t, dir, 200, nil, nil)))
	c := g.dial(t)
	_, err := io.WriteString(c, "GET /file HTTP/1.1\r\nHost: a\r\n\r\n")
	check(t, err)
	r := bufio.NewReader(c)
	p := must(http.ReadResponse(r, nil))(t)
	check(t, os.Truncate(file, 1<<20))
	if n, err := io.Copy(io.Discard, p.Body); err == nil || n >= 64<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
	eventually(t, "the log tells of it", func() bool { return g.log.has("was truncated") })
}

// A client that takes a large file slowly, or leaves, keeps neither memory nor the file.
func TestHTTPAnswerLargeFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	check(t, os.WriteFile(file, nil, 0o600))
	check(t, os.Truncate(file, 1<<30))
	g := startHTTP(t, httpServerOf(t, mirror), func(c *Config) { c.Service.Workers = 1 }, attaching(answeringFiles(t, dir, 200, nil, nil)))
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapInuse)
	}
	before := heap()
	clients := make([]net.Conn, 20)
	for i := range clients {
		clients[i] = g.dial(t)
		_, err := io.WriteString(clients[i], "GET /file HTTP/1.1\r\nHost: a\r\n\r\n")
		check(t, err)
		_, err = io.CopyN(io.Discard, clients[i], 1<<20)
		check(t, err)
	}
	if grown := heap() - before; grown > int64(len(clients))*4*pieceSize {
		t.Errorf("%d clients take %d KiB", len(clients), grown>>10)
	}
	for _, c := range clients {
		check(t, c.Close())
	}
	eventually(t, "the connections have ended", func() bool { return g.Connections() == 0 })
	check(t, g.Port().Workers()[0].Call(func() {
		if n := len(g.http(g.Port().Workers()[0]).pieces); n > maxPieces {
			t.Errorf("%d pieces are kept", n)
		}
	}))
}

// A verdict that comes too late closes its file: the test would not end without it.
func TestHTTPAnswerFileTooLate(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "file"), random(10), 0o600))
	g := startHTTP(t, httpServerOf(t, mirror), nil, attaching(answeringFiles(t, dir, 200, nil, func(x *Exchange) { x.Connection().Reset() })))
	_, err := io.WriteString(g.dial(t), "GET /file HTTP/1.1\r\nHost: a\r\n\r\n")
	check(t, err)
	eventually(t, "the connection has ended", func() bool { return g.log.has("a filter has reset the connection") && g.Connections() == 0 })
}
