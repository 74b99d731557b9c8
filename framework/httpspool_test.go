package framework

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fwx/framework/completion"
	"fwx/framework/completion/completiontest"
	"fwx/framework/fwxtest"
)

// testSpool is testHTTPBodies that looks at spooled bodies, too.
type testSpool struct {
	testHTTPBodies

	spooled func(x *Exchange, body *Spool) Verdict
}

func (f testSpool) SpooledBody(x *Exchange, body *Spool) Verdict { return f.spooled(x, body) }

// spooling is a filter that asks for bodies of more than limit bytes on the disk.
func spooling(limit int, spooled func(x *Exchange, body *Spool) Verdict) testSpool {
	return testSpool{testHTTPBodies{&testHTTP{request: func(x *Exchange) Verdict {
		return passIfDone(x.WholeBody(Upstream, limit, OverflowSpool))
	}}}, spooled}
}

// readSpool reads all of a spooled body, and then calls done.
func readSpool(x *Exchange, body *Spool, done func(content []byte, err error)) {
	content := make([]byte, 0, body.Size())
	piece := make([]byte, 10_000)
	o := x.Connection().Worker().CreateOverlapped()
	var read func()
	err := o.SetNotificationInterface(completion.CompletionFunc(func(_ bool, n int, err error, _ *completion.Overlapped, _ any) {
		if content = append(content, piece[:n]...); err != nil || len(content) == int(body.Size()) {
			done(content, err)
			return
		}
		read()
	}), nil)
	read = func() {
		ov, err := o.GetOverlapped()
		if err == nil {
			ov.Offset = int64(len(content))
			err = body.ReadFile(ov, piece)
		}
		if err != nil {
			done(nil, err)
		}
	}
	if err != nil {
		done(nil, err)
		return
	}
	read()
}

// startSpool starts a gateway with a spool of its own, of which nothing may be left.
func startSpool(t *testing.T, backend string, change func(*Config), filters ...HTTPFilter) *gateway {
	t.Helper()
	dir := t.TempDir()
	config := httpConfig(backend, httpServerOf(t, mirror), attaching(filters...))
	config.Listeners[0].HTTP.Spool.Dir = dir
	if change != nil {
		change(&config)
	}
	g := startGateway(t, config)
	t.Cleanup(func() {
		eventually(t, "nothing is left on the disk", func() bool {
			left, err := os.ReadDir(dir)
			return os.IsNotExist(err) || err == nil && len(left) == 0 && g.current.Load().listeners[0].spooled.Load() == 0
		})
		if n := g.counter(t, metricSpooled, "in"); n != 0 {
			t.Errorf("%v bytes are counted", n)
		}
	})
	return g
}

// A body that is too long for memory goes to the disk, is shown to the filter, and goes
// on to the server as it came.
func TestHTTPSpool(t *testing.T) {
	for _, backend := range completion.Backends() {
		t.Run(backend, func(t *testing.T) {
			var shown atomic.Int64
			f := spooling(1000, func(x *Exchange, body *Spool) Verdict {
				shown.Add(1)
				readSpool(x, body, func(content []byte, err error) {
					v := Pass
					if err != nil || !bytes.Equal(content, random(int(body.Size()))) {
						v = Fail(fmt.Sprintf("%d bytes, %v", len(content), err))
					}
					_ = x.Resume(Upstream, v) // it is held
				})
				return Hold
			})
			g := startSpool(t, backend, nil, f)
			client, url := g.httpClient(t)
			for _, size := range []int{10, 1000, 1001, 64 << 10, 1 << 20} {
				for _, chunked := range []bool{false, true} {
					var body io.Reader = bytes.NewReader(random(size))
					if chunked {
						body = struct{ io.Reader }{body}
					}
					before := shown.Load()
					p := must(client.Do(must(http.NewRequestWithContext(t.Context(), "POST", url+"/", body))(t)))(t)
					got := must(io.ReadAll(p.Body))(t)
					check(t, p.Body.Close())
					if p.StatusCode != 200 || !bytes.Equal(got, random(size)) || p.Header.Get("Sent-Content-Length") != strconv.Itoa(size) {
						t.Errorf("%d bytes, chunked %v: %s, %d bytes, length %s", size, chunked, p.Status, len(got), p.Header.Get("Sent-Content-Length"))
					}
					if (shown.Load() > before) != (size > 1000) {
						t.Errorf("%d bytes, chunked %v: shown %d times", size, chunked, shown.Load()-before)
					}
				}
			}
		})
	}
}

// What filters make of a spooled body, alone and beside filters that see it in pieces.
func TestHTTPSpoolVerdicts(t *testing.T) {
	for _, test := range []struct {
		name    string
		verdict Verdict
		status  int
		body    string // the server has had; alone
		pieces  string // and with a filter that puts each piece in brackets
	}{
		{"pass", Pass, 200, strings.Repeat("x", 3000), "[" + strings.Repeat("x", 3000) + "]."},
		{"replace", Replace([]byte("other")), 200, "other", "[other]."},
		{"drop", Drop, 200, "", "."},
		{"deny", Deny("bad"), 403, "", ""},
		{"fail", Fail("bad"), 500, "", ""},
		{"answer", Answer(422, nil, nil), 422, "", ""},
	} {
		for _, held := range []bool{false, true} {
			for _, beside := range []string{"", "before", "behind"} {
				t.Run(fmt.Sprintf("%s, held %v, a filter %s", test.name, held, beside), func(t *testing.T) {
					calls := 0
					f := spooling(1000, func(x *Exchange, body *Spool) Verdict {
						if calls++; calls > 1 || body.Size() != 3000 {
							return Fail("once")
						}
						if held {
							return later(x, Upstream, test.verdict)
						}
						return test.verdict
					})
					f.requestBody = func(*Exchange, []byte) Verdict { return Fail("the body is on the disk") }
					filters, want := []HTTPFilter{f}, test.body
					pieces := testHTTPBodies{&testHTTP{requestBody: func(x *Exchange, chunk []byte) Verdict {
						v := Replace([]byte("[" + string(chunk) + "]"))
						if len(chunk) == 0 {
							v = Replace([]byte("."))
						}
						if held {
							return later(x, Upstream, v)
						}
						return v
					}}}
					switch beside {
					case "before":
						filters, want = []HTTPFilter{pieces, f}, test.pieces
					case "behind":
						filters, want = []HTTPFilter{f, pieces}, test.pieces
					}
					g := startSpool(t, "auto", nil, filters...)
					p, body := ask(t, g.dial(t), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n"+strings.Repeat("x", 3000))
					if p.StatusCode != test.status || test.status == 200 && body != want {
						t.Errorf("%s %.100q, want %.100q", p.Status, body, want)
					}
					if test.status == 200 && p.Close {
						t.Error("the connection does not go on")
					}
				})
			}
		}
	}
}

// Each limit of a spool has its answer, and a spool that cannot be written one, too.
func TestHTTPSpoolLimits(t *testing.T) {
	pass := func(*Exchange, *Spool) Verdict { return Pass }
	post := func(size int) string {
		return fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size))
	}
	t.Run("max_body", func(t *testing.T) {
		g := startSpool(t, "auto", func(c *Config) { c.Listeners[0].HTTP.Spool.MaxBody = 5000 }, spooling(1000, pass))
		for size, status := range map[int]int{5000: 200, 5001: 413, 500_000: 413} {
			if p, _ := ask(t, g.dial(t), post(size)); p.StatusCode != status {
				t.Errorf("%d bytes: %s, want %d", size, p.Status, status)
			}
		}
	})
	t.Run("max_total", func(t *testing.T) {
		shown := make(chan *Exchange, 1)
		f := spooling(1000, func(x *Exchange, _ *Spool) Verdict { shown <- x; return Hold })
		g := startSpool(t, "auto", func(c *Config) {
			c.Listeners[0].HTTP.Spool.MaxBody, c.Listeners[0].HTTP.Spool.MaxTotal = 5000, 8000
		}, f)
		first := g.dial(t)
		_, err := io.WriteString(first, post(5000))
		check(t, err)
		x := <-shown
		if p, _ := ask(t, g.dial(t), post(4000)); p.StatusCode != 503 || !g.log.has("max_total") {
			t.Error(p.Status)
		}
		check(t, x.Connection().Worker().Post(func() { _ = x.Resume(Upstream, Pass) })) // the answer tells
		if p, _ := ask(t, first, ""); p.StatusCode != 200 {
			t.Error(p.Status)
		}
	})
	t.Run("no directory", func(t *testing.T) {
		g := startSpool(t, "auto", nil, spooling(1000, pass))
		check(t, os.Remove(g.current.Load().listeners[0].spoolDir))
		if p, _ := ask(t, g.dial(t), post(2000)); p.StatusCode != 503 || !g.log.has("the spool: open ") {
			t.Error(p.Status)
		}
	})
	t.Run("a filter that cannot look", func(t *testing.T) {
		g := startSpool(t, "auto", nil, spooling(1000, nil).testHTTPBodies)
		if p, _ := ask(t, g.dial(t), post(2000)); p.StatusCode != 500 || !g.log.has("SpooledBodyFilter") {
			t.Error(p.Status)
		}
	})
	t.Run("a filter that refuses", func(t *testing.T) {
		refusing := &testHTTP{request: func(x *Exchange) Verdict { return passIfDone(x.WholeBody(Upstream, 500, OverflowRefuse)) }}
		g := startSpool(t, "auto", nil, spooling(1000, pass), testHTTPBodies{refusing})
		if p, _ := ask(t, g.dial(t), post(2000)); p.StatusCode != 413 {
			t.Error(p.Status)
		}
	})
}

// A client that leaves takes its body from the disk, whatever goes on with it.
func TestHTTPSpoolClientLeaves(t *testing.T) {
	f := spooling(1000, func(*Exchange, *Spool) Verdict { return Deny("it is complete") })
	g := startSpool(t, "auto", nil, f)
	c := g.dial(t)
	_, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"+strings.Repeat("x", 500_000))
	check(t, err)
	eventually(t, "the body is on the disk", func() bool { return g.current.Load().listeners[0].spooled.Load() == 500_000 })
	check(t, c.SetLinger(0))
	check(t, c.Close())
	eventually(t, "the connection has ended", func() bool { return g.Connections() == 0 })
}

// When the verdict comes too late nothing can be read any more.
func TestHTTPSpoolTooLate(t *testing.T) {
	type held struct {
		x    *Exchange
		body *Spool
	}
	shown := make(chan held, 1)
	g := startSpool(t, "auto", nil, spooling(1000, func(x *Exchange, body *Spool) Verdict { shown <- held{x, body}; return Hold }))
	_, err := io.WriteString(g.dial(t), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n"+strings.Repeat("x", 3000))
	check(t, err)
	h := <-shown
	check(t, g.Kill(t.Context(), h.x.Connection().ID(), "the test"))
	check(t, h.x.Connection().Worker().Call(func() {
		readSpool(h.x, h.body, func(_ []byte, err error) {
			if err == nil {
				t.Error("it could be read")
			}
		})
		if h.x.Resume(Upstream, Pass) == nil {
			t.Error("it could be resumed")
		}
	}))
}

// block is a megabyte that each upload repeats; what arrives is compared with it.
var block = random(1 << 20)

// repeat is a reader of so many blocks.
type repeat struct{ left, at int }

func (r *repeat) Read(b []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := copy(b, block[r.at:])
	if r.at += n; r.at == len(block) {
		r.left, r.at = r.left-1, 0
	}
	return n, nil
}

// countBlocks is a server that answers with how many bytes of blocks it has had, and
// whether they were right.
func countBlocks(w http.ResponseWriter, r *http.Request) {
	buf, n := make([]byte, 256<<10), 0
	for {
		m, err := r.Body.Read(buf)
		for rest := buf[:m]; len(rest) > 0; {
			want := block[n%len(block):]
			want = want[:min(len(rest), len(want))]
			if !bytes.Equal(rest[:len(want)], want) {
				http.Error(w, fmt.Sprintf("wrong behind %d bytes", n), http.StatusBadRequest)
				return
			}
			rest, n = rest[len(want):], n+len(want)
		}
		if err != nil {
			fmt.Fprintf(w, "%d %v", n, err)
			return
		}
	}
}

// An upload of a fast client with a slow disk in between takes little memory and arrives as
// it was sent: through a filter that writes each chunk to a file before it lets it go, and
// spooled.
func TestHTTPLargeUpload(t *testing.T) {
	blocks := 64
	if fwxtest.Long() {
		blocks = 2 << 10
	}
	for _, test := range []struct {
		name   string
		filter func(t *testing.T) HTTPFilter
	}{
		{"written by a filter", func(t *testing.T) HTTPFilter {
			t.Helper()
			return testHTTPBodies{&testHTTP{requestBody: writing(t)}}
		}},
		{"spooled", func(*testing.T) HTTPFilter {
			return spooling(100_000, func(x *Exchange, body *Spool) Verdict {
				if body.Size() != int64(blocks)<<20 {
					return Fail(fmt.Sprintf("%d bytes", body.Size()))
				}
				return Pass
			})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var most atomic.Uint64
			heap := func() {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most.Store(max(most.Load(), m.HeapInuse))
			}
			config := httpConfig("auto", httpServerOf(t, countBlocks), attaching(test.filter(t)))
			config.Service.Workers = 1
			config.Listeners[0].HTTP.Spool = SpoolConfig{Dir: t.TempDir(), MaxBody: 4 << 30}
			config.OpenPort = completiontest.StallingFiles(blocks/4, 20*time.Millisecond, heap)
			g := startGateway(t, config)
			client, url := g.httpClient(t)
			client.Timeout = 0
			runtime.GC()
			heap()
			before := most.Swap(0)
			r := must(http.NewRequestWithContext(t.Context(), "POST", url+"/", &repeat{left: blocks}))(t)
			r.ContentLength = int64(blocks) << 20
			p := must(client.Do(r))(t)
			got := must(io.ReadAll(p.Body))(t)
			check(t, p.Body.Close())
			if want := fmt.Sprintf("%d EOF", blocks<<20); string(got) != want {
				t.Errorf("the server has had %s, want %s", got, want)
			}
			grown := (int64(most.Load()) - int64(before)) >> 10
			t.Logf("%d MiB, the heap has grown by %d KiB", blocks, grown)
			if most.Load() == 0 || grown > 16<<10 {
				t.Errorf("the heap has grown by %d KiB", grown)
			}
		})
	}
}

// writing returns a handler that writes each chunk to a file before it lets it go.
func writing(t *testing.T) func(x *Exchange, chunk []byte) Verdict {
	t.Helper()
	file := filepath.Join(t.TempDir(), "copy")
	var handle *completion.Handle
	var o *completion.Overlapped
	var offset int64
	write := func(x *Exchange, chunk []byte) {
		err := o.SetNotificationInterface(completion.CompletionFunc(func(_ bool, _ int, err error, _ *completion.Overlapped, _ any) {
			v := Pass
			if err != nil {
				v = Fail(err.Error())
			}
			_ = x.Resume(Upstream, v) // it is held
		}), nil)
		check(t, err)
		ov := must(o.GetOverlapped())(t)
		ov.Offset = offset % (64 << 20)
		offset += int64(len(chunk))
		check(t, handle.WriteFile(ov, chunk))
	}
	return func(x *Exchange, chunk []byte) Verdict {
		switch w := x.Connection().Worker(); {
		case len(chunk) == 0:
			return Pass
		case o != nil:
			write(x, chunk)
		default:
			o = w.CreateOverlapped()
			check(t, o.SetNotificationInterface(completion.CompletionFunc(func(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
				check(t, err)
				handle = o.TakeValue().(*completion.Handle)
				write(x, chunk)
			}), nil))
			check(t, w.OpenFile(o, nil, file, os.O_WRONLY|os.O_CREATE, 0o600))
		}
		return Hold
	}
}

func TestHTTPSpoolConfig(t *testing.T) {
	for _, test := range []struct {
		spool SpoolConfig
		want  string
	}{
		{SpoolConfig{MaxBody: -1}, "http.spool.max_body: wants a size of at least 1"},
		{SpoolConfig{MaxBody: 10, MaxTotal: 9}, "http.spool.max_total: wants at least the 10 bytes of max_body, not 9"},
		{SpoolConfig{MaxBody: 1 << 40}, ""},
	} {
		config := httpConfig("auto", "127.0.0.1:1")
		config.Listeners[0].HTTP.Spool = test.spool
		_, err := New(config, nil)
		if got := fmt.Sprint(err); test.want == "" && err != nil || !strings.Contains(got, test.want) {
			t.Errorf("%+v: %s", test.spool, got)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(file, nil, 0o600))
	config := httpConfig("auto", "127.0.0.1:1")
	config.Listeners[0].HTTP.Spool.Dir = file
	if _, err := New(config, nil); err == nil || !strings.Contains(err.Error(), `listener "in": http.spool.dir: `+file+" is not a directory") {
		t.Errorf("a file as the directory: %v", err)
	}
	config.Listeners[0].HTTP.Spool.Dir = filepath.Join(file, "spool")
	g := newGateway(t, config)
	if err := g.Start(t.Context()); err == nil || !strings.Contains(err.Error(), `listener "in": http.spool.dir: `) {
		t.Errorf("a directory in a file: %v", err)
	}
}

// A request that comes right behind one whose body is still on its way to the disk waits
// for its turn.
func TestHTTPSpoolWithNextRequest(t *testing.T) {
	for _, framing := range []string{"length", "chunks"} {
		m := newMachine(t)
		m.server(nil)
		m.start(func(c *Config) {
			addFilter(c, attaching(spooling(10, func(*Exchange, *Spool) Verdict { return Pass })))
			c.Listeners[0].HTTP.Spool.Dir = "/spool"
		})
		fields, body := framed(framing, strings.Repeat("x", 100))
		got := m.ask(m.client(), "POST / HTTP/1.1\r\nHost: a\r\n"+fields+"\r\n"+body+getRequest)
		if n := strings.Count(got, "HTTP/1.1 200 OK\r\n"); n != 2 {
			t.Errorf("%s: %d answers: %q", framing, n, got)
		}
	}
}
