package scripting

import (
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fwx/framework/fwxtest"
)

// site is an HTTP server for tests, which counts its connections.
type site struct {
	*httptest.Server
	opened atomic.Int32
}

func newSite(tb testing.TB, secured *tls.Config) *site {
	tb.Helper()
	var five sync.WaitGroup
	five.Add(5)
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header()["X-Two"] = []string{"a", "b"}
		say(w, fmt.Sprintf("%s %s %s %q %s %d", r.Method, r.Host, r.URL.RequestURI(), r.Header["X-Test"], r.UserAgent(), len(body)))
	})
	mux.HandleFunc("/status", func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.URL.RawQuery)
		w.WriteHeader(code)
	})
	mux.HandleFunc("/chunks", func(w http.ResponseWriter, _ *http.Request) {
		for i := range 10 {
			_, _ = fmt.Fprintf(w, "%d,", i)
			_ = http.NewResponseController(w).Flush()
		}
	})
	mux.HandleFunc("/big", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 2<<20)) })
	mux.HandleFunc("/bomb", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.CopyN(z, zeros{}, 8<<20)
		_ = z.Close()
	})
	mux.HandleFunc("/gzip", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "gzip" {
			say(w, "plain "+r.Header.Get("Accept-Encoding"))
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, strings.Repeat("zip", 1000))
		_ = z.Close()
	})
	mux.HandleFunc("/to", func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.URL.Query().Get("code"))
		w.Header().Set("Location", r.URL.Query().Get("at"))
		w.WriteHeader(code)
	})
	mux.HandleFunc("/secret", func(w http.ResponseWriter, r *http.Request) {
		say(w, "auth="+r.Header.Get("Authorization")+" cookie="+r.Header.Get("Cookie"))
	})
	mux.HandleFunc("/five", func(w http.ResponseWriter, _ *http.Request) { // they are answered once all have come
		five.Done()
		five.Wait()
		_, _ = io.WriteString(w, "five")
	})
	mux.HandleFunc("/stall", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/close", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		_, _ = io.WriteString(w, "bye")
	})
	s := &site{Server: httptest.NewUnstartedServer(mux)}
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.opened.Add(1)
		}
	}
	s.Config.ErrorLog = nil
	if secured != nil {
		s.TLS = secured
		s.StartTLS()
	} else {
		s.Start()
	}
	tb.Cleanup(s.Close)
	return s
}

func say(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain")
	_, _ = io.WriteString(w, text) //nolint:gosec // No browser reads it.
}

// zeros is an endless reader.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestHTTP(t *testing.T) {
	s, other := newSite(t, nil), newSite(t, nil)
	get := `local function get(path, o) local r, err, code = fwx.http.get("` + s.URL + `" .. path, o) if not r then return code .. ": " .. err end return r.status .. " " .. r.body end `
	request := `local function request(o) o.url = "` + s.URL + `" .. o.url local r, err, code = fwx.http.request(o) if not r then return code .. ": " .. err end return r.status .. " " .. r.body end `
	host := strings.TrimPrefix(s.URL, "http://")
	rows := []snippet{
		{"get", `return get("/hello")`, "200 hello"},
		{"not found", `return get("/none"):sub(1, 3)`, "404"},
		{"query", `return get("/echo?a=b c&d=%20#part")`, `200 GET ` + host + ` /echo?a=b%20c&d=%20 [] fwx 0`},
		{"headers", `return get("/echo", {headers = {["X-Test"] = {"1", 2}, ["user-agent"] = "me", Host = "other.test:81"}})`, `200 GET other.test:81 /echo ["1" "2"] me 0`},
		{"headers of the response", `local r = fwx.http.get("` + s.URL + `/echo") return r.headers:get("x-two") .. r.headers:get("X-TWO") .. table.concat(r.headers:all("X-Two")) .. #r.headers:all("none") .. tostring(r.headers:get("none")) .. table.concat(r.headers:names(), ",")`, "aaab0nilcontent-length,content-type,date,x-two"},
		{"post", `return request{method = "POST", url = "/echo", body = "abc"}`, `200 POST ` + host + ` /echo [] fwx 3`},
		{"post nothing", `return request{method = "POST", url = "/echo"}`, `200 POST ` + host + ` /echo [] fwx 0`},
		{"post much", `return request{method = "POST", url = "/echo", body = ("x"):rep(2000000)}`, `200 POST ` + host + ` /echo [] fwx 2000000`},
		{"head", `return request{method = "HEAD", url = "/big"}`, "200 "},
		{"no content", `return get("/status?204")`, "204 "},
		{"not modified", `return get("/status?304")`, "304 "},
		{"error", `return get("/status?503")`, "503 "},
		{"chunks", `return get("/chunks")`, "200 0,1,2,3,4,5,6,7,8,9,"},
		{"gzip", `return #get("/gzip")`, "3004"},
		{"own encoding", `return get("/gzip", {headers = {["accept-encoding"] = "identity"}})`, "200 plain identity"},
		{"too big", `return get("/big"):gsub(":.*", "")`, "EMSGSIZE"},
		{"as big as allowed", `return #get("/big", {max_body = 2^21})`, strconv.Itoa(2<<20 + 4)},
		{"chunks too big", `return get("/chunks", {max_body = 19})`, "EMSGSIZE: " + s.URL + ": the body of the response has more than 19 bytes"},
		{"bomb", `return get("/bomb"):gsub(":.*", "")`, "EMSGSIZE"},
		{"time-out", `return get("/stall", {timeout = 0.05})`, "timeout: " + s.URL + ": not done within 50ms"},
		{"time-out of the block", `return select(3, fwx.timeout(0.05, get, "/stall"))`, "timeout"},
		{"close", `return get("/close") .. get("/close")`, "200 bye200 bye"},
		{"redirect", `return get("/to?code=302&at=/hello")`, "200 hello"},
		{"redirect of a post", `return request{method = "POST", url = "/to?code=303&at=/echo", body = "abc"}`, `200 GET ` + host + ` /echo [] fwx 0`},
		{"redirect that keeps", `return request{method = "POST", url = "/to?code=307&at=/echo", body = "abc"}`, `200 POST ` + host + ` /echo [] fwx 3`},
		{"not followed", `return get("/to?code=302&at=/hello", {redirects = 0})`, "302 "},
		{"redirect in a circle", `return get("/to?code=302&at=%2Fto%3Fcode%3D302%26at%3D%2Fhello", {redirects = 1})`, "protocol: " + s.URL + "/to?code=302&at=/hello: more than 1 redirects"},
		{"url", `return fwx.http.get("` + s.URL + `/to?code=302&at=/hello").url`, s.URL + "/hello"},
		{"redirect to a denied host", `return get("/to?code=302&at=http://127.0.0.9:80/"):gsub(":.*", "")`, "denied"},
		{"redirect to a denied port", `return get("/to?code=302&at=http://127.0.0.1:1/"):gsub(":.*", "")`, "denied"},
		{"redirect to a file", `return get("/to?code=302&at=file:///etc/passwd")`, "protocol: " + s.URL + `/to?code=302&at=file:///etc/passwd: redirect to "file:///etc/passwd": wants http:// or https://`},
		{"redirect with a user", `return get("/to?code=302&at=http://a:b@127.0.0.1/"):gsub(":.*", "")`, "protocol"},
		{"secrets stay", `return get("/to?code=302&at=/secret", {headers = {Authorization = "x", Cookie = "y"}})`, "200 auth=x cookie=y"},
		{"secrets do not go elsewhere", `return get("/to?code=302&at=` + other.URL + `/secret", {headers = {Authorization = "x", Cookie = "y"}})`, "200 auth= cookie="},
		{"denied", `return select(3, fwx.http.get("http://127.0.0.2/"))`, "denied"},
		{"user in the URL", `local r, err, code = fwx.http.get("http://127.0.0.1@127.0.0.2/") return code .. ": " .. err`, `EINVAL: URL "http://127.0.0.1@127.0.0.2/": a name or password in it is not sent: set the header Authorization`},
		{"backslash", `return select(3, fwx.http.get("http://127.0.0.2\\@127.0.0.1/"))`, "EINVAL"},
		{"decimal host", `return select(3, fwx.http.get("http://2130706433/"))`, "EINVAL"},
		{"encoded host", `return select(3, fwx.http.get("http://%31%32%37.0.0.2/"))`, "EINVAL"},
		{"scheme", `return select(3, fwx.http.get("gopher://127.0.0.1/"))`, "EINVAL"},
		{"no URL", `return select(3, fwx.http.request{})`, "EINVAL"},
		{"line in a URL", `return select(3, fwx.http.get("http://127.0.0.1/\r\nX: y"))`, "EINVAL"},
		{"line in a header", `return get("/", {headers = {X = "a\r\nY: b"}})`, `EINVAL: header X: wants a value without control characters, got "a\r\nY: b"`},
		{"line in a name", `return get("/", {headers = {["X: y\r\nZ"] = "a"}}):gsub(":.*", "")`, "EINVAL"},
		{"line in a method", `return request{url = "/", method = "GET / HTTP/1.1\r\n"}:gsub(":.*", "")`, "EINVAL"},
		{"line in the host", `return get("/", {headers = {Host = "a b"}})`, `EINVAL: header Host: "a b" is no host`},
		{"framing header", `return get("/", {headers = {["content-length"] = "5"}})`, "EINVAL: content-length is a header that the client writes itself"},
		{"smuggling header", `return get("/", {headers = {["Transfer-Encoding"] = "chunked"}}):gsub(":.*", "")`, "EINVAL"},
		{"many headers", `local h = {} for i = 1, 101 do h["X" .. i] = "" end return get("/", {headers = h}):gsub(":.*", "")`, "EMSGSIZE"},
		{"two spellings", `return get("/", {headers = {["X-A"] = "1", ["x-a"] = "2"}})`, "EINVAL: headers X-A and x-a are one header in two spellings: give one of them a list of values"},
		{"a value that is none", `return get("/", {headers = {["X-A"] = true}})`, "EINVAL: header X-A: wants a string, a number, or a list of them, got a boolean"},
		{"misuse", `fwx.http.get("http://127.0.0.1/", {header = {}})`, `!there is no option "header"; did you mean "headers"?`},
		{"misuse of a body", `fwx.http.request{url = "http://127.0.0.1/", body = 1}`, `!option body wants a string`},
	}
	for i := range rows {
		rows[i].source = get + request + rows[i].source
	}
	port := func(s *site) string { return s.Listener.Addr().String() }
	runSnippets(t, nil, rows, func(settings *Settings) { settings.Allow.Connect = []string{port(s), port(other)} })
}

// TestHTTPConnections sees how often a connection is used.
func TestHTTPConnections(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		for _, secured := range []*tls.Config{nil, {Certificates: []tls.Certificate{ca.Issue("127.0.0.1").Certificate}, MinVersion: tls.VersionTLS12}} {
			s := newSite(t, secured)
			b := newBench(t, backend, toLoopback)
			b.write("read/ca.pem", contentOf(t, ca.File))
			get := strings.ReplaceAll(`local function get(path) return fwx.http.get("URL" .. (path or "/hello"), OPT) end `, "URL", s.URL)
			get = strings.ReplaceAll(get, "OPT", map[bool]string{true: "nil", false: `{ca = "read/ca.pem"}`}[secured == nil])
			expect := func(source, want string, opened int) {
				t.Helper()
				got, err := b.run(get + source)
				if got != want || err != nil || int(s.opened.Load()) != opened {
					t.Errorf("%s: got %q, %v on %d connections; want %q on %d", source, got, err, s.opened.Load(), want, opened)
				}
			}
			idle := func() (n int) {
				onWorker(b, func() {
					for _, list := range b.state.clients {
						n += len(list)
					}
				})
				return n
			}
			expect(`for i = 1, 20 do assert(get()) end return assert(get()).body`, "hello", 1)
			expect(`local n = 0 for i = 1, 5 do fwx.after(0, function() assert(get("/five")) n = n + 1 end) end while n < 5 do fwx.sleep(0.001) end return n`, "5", 5)
			expect(`return assert(get()).body`, "hello", 5)
			if n := idle(); n != 5 {
				t.Errorf("%d connections are kept", n)
			}
			s.CloseClientConnections()
			fwxtest.Eventually(t, patience, "the connections that the server ended are dropped", func() bool { return idle() == 0 })
			expect(`return assert(get()).body`, "hello", 6)
			onWorker(b, func() {
				for _, list := range b.state.clients {
					list[0].expiry.Reset(time.Millisecond) // as if it had been long
				}
			})
			fwxtest.Eventually(t, patience, "a connection that is not used is dropped", func() bool { return idle() == 0 })
			expect(`return assert(get()).body`, "hello", 7)
			b.close()
			if b.state.sockets != 0 {
				t.Errorf("%d sockets are left", b.state.sockets)
			}
		}
	})
}

// rawServer answers each request on a connection with the next of some texts, and
// then closes.
func rawServer(tb testing.TB, answers ...string) string {
	tb.Helper()
	return serve(tb, "tcp", "127.0.0.1:0", func(c net.Conn) {
		buf := make([]byte, 64<<10)
		for _, answer := range answers {
			if _, err := c.Read(buf); err != nil {
				return
			}
			_, _ = io.WriteString(c, answer)
		}
	})
}

// TestHTTPAnswers has servers that do not answer as they should.
func TestHTTPAnswers(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	slowly := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		for _, b := range []byte(ok) {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	endless := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
		_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for i := 0; err == nil; i++ {
			_, err = fmt.Fprintf(c, "X-%d: y\r\n", i)
		}
	})
	oneHeader := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
		_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nX: ")
		for err == nil {
			_, err = io.WriteString(c, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")
		}
	})
	endlessBody := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
		_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		for err == nil {
			_, err = io.WriteString(c, strings.Repeat("x", 1<<16))
		}
	})
	get := `local function get(address, method) local r, err, code = fwx.http.request{url = "http://" .. address .. "/", method = method} if not r then return code end return r.status .. r.body end `
	at := func(address string) string { return get + `return get("` + address + `")` }
	runSnippets(t, nil, []snippet{
		{"a byte at a time", at(slowly), "200ok"},
		{"endless headers", at(endless), "EMSGSIZE"},
		{"endless header", at(oneHeader), "EMSGSIZE"},
		{"endless body", at(endlessBody), "EMSGSIZE"},
		{"up to the end", at(rawServer(t, "HTTP/1.1 200 OK\r\n\r\nall of it")), "200all of it"},
		{"of HTTP/1.0", at(rawServer(t, "HTTP/1.0 200 OK\r\n\r\nold")), "200old"},
		{"continue", at(rawServer(t, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"+ok)), "200ok"},
		{"continue for ever", at(rawServer(t, strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 100)+ok)), "protocol"},
		{"switching", at(rawServer(t, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")), "protocol"},
		{"no HTTP", at(rawServer(t, "220 smtp ready\r\n")), "protocol"},
		{"bad length", at(rawServer(t, "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n")), "protocol"},
		{"two lengths", at(rawServer(t, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef")), "protocol"},
		{"bad chunk", at(rawServer(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")), "protocol"},
		{"bad gzip", at(rawServer(t, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\nhello hello hello he")), "protocol"},
		{"empty gzip", at(rawServer(t, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n")), "200"},
		{"cut body", at(rawServer(t, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello")), "closed"},
		{"cut head", at(rawServer(t, "HTTP/1.1 200 OK\r\nContent-")), "protocol"},
		{"nothing", at(rawServer(t, "")), "closed"},
		{"more than was asked for", get + `local a = "` + rawServer(t, ok+ok, ok) + `" return get(a) .. get(a)`, "200ok200ok"},
		{"ended meanwhile", get + `local a = "` + rawServer(t, ok) + `" return get(a) .. get(a)`, "200ok200ok"},
		{"ended when asked", get + `local a = "` + rawServer(t, ok, "") + `" return get(a) .. get(a)`, "200ok200ok"},
		{"ended when posted to", get + `local a = "` + rawServer(t, ok, "") + `" return get(a) .. get(a, "POST")`, "200okclosed"},
		{"half an answer is no reason to ask again", get + `local a = "` + rawServer(t, ok, "HTTP/1.1 2") + `" return get(a) .. get(a)`, "200okprotocol"},
	}, toLoopback)
}
