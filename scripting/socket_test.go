package scripting

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"fwx/framework/fwxtest"
)

// toLoopback lets a script connect to what the tests start.
func toLoopback(s *Settings) { s.Allow.Connect = []string{"127.0.0.1:*"} }

// serve starts a server that does the same with each of its connections.
func serve(tb testing.TB, network, address string, do func(net.Conn)) string {
	tb.Helper()
	var config net.ListenConfig
	l, err := config.Listen(tb.Context(), network, address)
	if err != nil {
		tb.Fatal(err)
	}
	return serveOn(tb, l, do)
}

func serveOn(tb testing.TB, l net.Listener, do func(net.Conn)) string {
	tb.Helper()
	var (
		serving sync.WaitGroup
		mu      sync.Mutex
		open    = make(map[net.Conn]struct{})
	)
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = struct{}{}
			mu.Unlock()
			serving.Go(func() {
				defer c.Close()
				do(c)
				mu.Lock()
				delete(open, c)
				mu.Unlock()
			})
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
	return l.Addr().String()
}

// commands is a server for the tests of sockets: it does what a line tells it.
func commands(c net.Conn) {
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "say":
			_, _ = io.WriteString(c, strings.ReplaceAll(rest, "|", "\r\n"))
		case "slowly":
			for _, b := range []byte(strings.ReplaceAll(rest, "|", "\r\n")) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		case "big":
			_, _ = io.WriteString(c, strings.Repeat("0123456789abcdef", 1<<16))
		case "eat":
			n, _ := io.CopyN(io.Discard, in, 1<<20)
			_, _ = fmt.Fprintf(c, "ate %d\n", n)
		case "stall":
			for c.SetReadDeadline(time.Time{}) == nil { // until the test ends
				time.Sleep(5 * time.Millisecond)
			}
		case "wait":
			_, _ = in.ReadByte()
		case "reset":
			if secured, ok := c.(*linger); ok {
				c = secured.tcp
			}
			if tcp, ok := c.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
				_ = tcp.Close()
			}
			return
		case "bye":
			return
		}
	}
}

// onServer puts the address of a server in the place of "ADDR".
func onServer(rows []snippet, address string) []snippet {
	out := make([]snippet, len(rows))
	for i, row := range rows {
		row.source = strings.ReplaceAll(row.source, "ADDR", address)
		out[i] = row
	}
	return out
}

var socketRows = []snippet{
	{"lines", `local s = assert(fwx.connect("ADDR", OPT)) s:send("say one|two|three\n") return s:receive_line() .. s:receive_line() .. s:receive(2) .. s:receive()`, "onetwothree"},
	{"exactly", `local s = assert(fwx.connect("ADDR", OPT)) s:send("say abcdef\n") return s:receive(1) .. "," .. s:receive(3) .. "," .. s:receive(2)`, "a,bcd,ef"},
	{"a byte at a time", `local s = assert(fwx.connect("ADDR", OPT)) s:send("slowly some words|and more|\n") return s:receive_line() .. s:receive(4) .. s:receive_line()`, "some wordsand more"},
	{"much", `local s = assert(fwx.connect("ADDR", OPT)) s:send("big\n") local a = s:receive(2^20) return #a .. a:sub(-4)`, "1048576cdef"},
	{"much in parts", `local s = assert(fwx.connect("ADDR", OPT)) s:send("big\n") local n = 0 while n < 2^20 do local d = s:receive() assert(#d <= 65536) n = n + #d end return n`, "1048576"},
	{"send much", `local s = assert(fwx.connect("ADDR", OPT)) assert(s:send("eat\n" .. ("x"):rep(2^20))) return s:receive_line()`, "ate 1048576"},
	{"end", `local s = assert(fwx.connect("ADDR", OPT)) s:send("say ab|c\nbye\n") local l = s:receive_line() local r, err, code = s:receive(2) return l .. tostring(r) .. code .. s:receive() .. select("#", s:receive()) .. tostring(s:receive_line())`, "abnilclosedc1nil"},
	{"line too long", `local s = assert(fwx.connect("ADDR", OPT)) s:send("say 1234567890\n") local l, err, code = s:receive_line(5) return tostring(l) .. code .. s:receive()`, "nilEMSGSIZE1234567890"},
	{"line that fits", `local s = assert(fwx.connect("ADDR", OPT)) s:send("say 12345|\n") return s:receive_line(5)`, "12345"},
	{"time-out", `local s = assert(fwx.connect("ADDR", OPT)) s:send("wait\n") local d, err, code = s:receive(1, 0.02) s:send("x") s:send("say ok\n") return tostring(d) .. code .. s:receive(2)`, "niltimeoutok"},
	{"time-out keeps", `local s = assert(fwx.connect("ADDR", OPT)) s:send("say abc\n") local _, _, code = s:receive(5, 0.05) s:send("say de\n") return code .. s:receive(5)`, "timeoutabcde"},
	{"time-out of the block", `local s = assert(fwx.connect("ADDR", OPT)) s:send("wait\n") local d, err, code = fwx.timeout(0.02, s.receive, s, 1) s:send("x") s:send("say ok\n") return tostring(d) .. code .. err .. s:receive(2)`, "niltimeoutnot done within 20msok"},
	{"reset", `local s = assert(fwx.connect("ADDR", OPT)) s:send("reset\n") local d, err, code = s:receive(1) return tostring(d) .. code`, "nilECONNRESET"},
	{"closed", `local s = assert(fwx.connect("ADDR", OPT)) s:close() s:close() local d, err, code = s:send("x") return tostring(s):sub(-8) .. code .. select(3, s:receive())`, "(closed)closedclosed"},
	{"closed under a receive", `local s = assert(fwx.connect("ADDR", OPT)) s:send("wait\n") fwx.after(0.01, function() s:close() end) local d, err, code = s:receive() return code`, "aborted"},
	{"two that receive", `local s, other = assert(fwx.connect("ADDR", OPT)) s:send("wait\n")
		fwx.after(0, function() other = select(3, s:receive()) s:send("x") s:send("say ok\n") end) return s:receive(2) .. other`, "okbusy"},
	{"both ways at once", `local s, n = assert(fwx.connect("ADDR", OPT)), 0
		fwx.after(0, function() while n < 2^20 do n = n + #s:receive() end end)
		for i = 1, 20 do assert(s:send("big\n")) end while n < 2^20 do fwx.sleep(0.001) end return "ok"`, "ok"},
	{"time-out of a send", `local s = assert(fwx.connect("ADDR", OPT)) s:send("stall\n") local err, code
		for i = 1, 100 do local ok ok, err, code = s:send(("x"):rep(2^20), 0.02) if not ok then break end end
		return tostring(code) .. select(3, s:send("x"))`, "timeoutclosed"},
	{"in a coroutine", `return coroutine.wrap(function() local s = assert(fwx.connect("ADDR", OPT)) s:send("say hi\n") return s:receive(2) end)()`, "hi"},
	{"misuse", `fwx.connect("ADDR", {tiemout = 1})`, `!there is no option "tiemout"; did you mean "timeout"?`},
	{"misuse of receive", `assert(fwx.connect("ADDR", OPT)):receive(0)`, "!a whole number from 1"},
	{"misuse of time", `assert(fwx.connect("ADDR", OPT)):receive(1, 0)`, "!a number of seconds above 0"},
}

func plainRows() []snippet {
	rows := make([]snippet, len(socketRows))
	for i, row := range socketRows {
		row.source = strings.ReplaceAll(row.source, ", OPT", "")
		rows[i] = row
	}
	return rows
}

func TestSocketTCP(t *testing.T) {
	runSnippets(t, nil, onServer(plainRows(), "tcp://"+serve(t, "tcp", "127.0.0.1:0", commands)), toLoopback)
}

func TestSocketUnix(t *testing.T) {
	needsUnixSockets(t)
	path := filepath.Join(t.TempDir(), "s")
	serve(t, "unix", path, commands)
	var rows []snippet
	for _, row := range onServer(plainRows(), "unix:"+path) {
		if row.name != "reset" { // there is none
			rows = append(rows, row)
		}
	}
	runSnippets(t, nil, rows, func(s *Settings) { s.Allow.Connect = []string{"unix:" + path} })
}

func TestSocketTLS(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			config := &tls.Config{Certificates: []tls.Certificate{ca.Issue("127.0.0.1").Certificate}, MinVersion: version, MaxVersion: version}
			rows := onServer(socketRows, "tls://"+serveTLS(t, config, commands))
			for i := range rows {
				rows[i].source = strings.ReplaceAll(rows[i].source, "OPT", `{ca = "read/ca.pem"}`)
			}
			runSnippets(t, func(b *bench) { b.write("read/ca.pem", contentOf(t, ca.File)) }, rows, toLoopback)
		})
	}
}

// serveTLS starts a server with TLS.
func serveTLS(tb testing.TB, config *tls.Config, do func(net.Conn)) string {
	tb.Helper()
	return serve(tb, "tcp", "127.0.0.1:0", func(c net.Conn) {
		secured := tls.Server(c, config)
		do(&linger{secured, c})
		_ = secured.Close()
	})
}

// linger is a connection with TLS whose linger can be set.
type linger struct {
	*tls.Conn
	tcp net.Conn
}

func contentOf(tb testing.TB, path string) string {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// TestTrust has servers whose certificates are not what they should be.
func TestTrust(t *testing.T) {
	ca, other := fwxtest.NewAuthority(t), fwxtest.NewAuthority(t)
	hello := func(c net.Conn) { _, _ = io.WriteString(c, "hello") }
	withCert := func(c tls.Certificate) string {
		return "tls://" + serveTLS(t, &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS12}, hello)
	}
	good, expired := withCert(ca.Issue("127.0.0.1").Certificate), withCert(ca.IssueUntil(time.Now().Add(-time.Hour), "127.0.0.1").Certificate)
	named, stranger := withCert(ca.Issue("example.org").Certificate), withCert(other.Issue("127.0.0.1").Certificate)
	mutual := "tls://" + serveTLS(t, &tls.Config{
		Certificates: []tls.Certificate{ca.Issue("127.0.0.1").Certificate}, MinVersion: tls.VersionTLS12,
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool,
	}, hello)
	plain := "tls://" + serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
		_, _ = io.WriteString(c, "220 this is no TLS\r\n")
		_, _ = io.Copy(io.Discard, c) // or the end would be a reset, which can overtake the answer
	})
	deaf := "tls://" + serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	gone := "tls://" + serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) { _, _ = c.Read(make([]byte, 64<<10)) })
	client := ca.Issue("client")

	try := func(address, options string) string {
		return fmt.Sprintf(`local s, err, code = fwx.connect(%q, {%s}) if not s then return code .. ": " .. err end local d, err, code = s:receive(5) return d or code`, address, options)
	}
	prepare := func(b *bench) {
		b.write("read/ca.pem", contentOf(t, ca.File))
		b.write("read/bad.pem", "nothing")
		b.write("read/cert.pem", contentOf(t, client.CertFile))
		b.write("read/key.pem", contentOf(t, client.KeyFile))
	}
	contains := func(name, source, text string) snippet {
		return snippet{name, "local text = (function() " + source + " end)() if not text:find(" + fmt.Sprintf("%q", text) + ", 1, true) then return text end return 'ok'", "ok"}
	}
	runSnippets(t, prepare, []snippet{
		{"good", try(good, `ca = "read/ca.pem"`), "hello"},
		{"a second time", try(good, `ca = "read/ca.pem"`), "hello"},
		contains("the system's authorities", try(good, ``), "tls: connect to "),
		contains("expired", try(expired, `ca = "read/ca.pem"`), "certificate has expired"),
		contains("expired has its code", try(expired, `ca = "read/ca.pem"`), "tls: "),
		contains("another name", try(named, `ca = "read/ca.pem"`), "tls: connect to "),
		{"the name that is wanted", try(named, `ca = "read/ca.pem", server_name = "example.org"`), "hello"},
		contains("a stranger", try(stranger, `ca = "read/ca.pem"`), "unknown authority"),
		contains("no TLS", try(plain, ``), "tls: "),
		contains("closed at once", try(gone, ``), "the server closed the connection"),
		contains("silence", try(deaf, `timeout = 0.05`), "timeout: connect to "),
		{"not allowed to be insecure", try(stranger, `insecure = true`), `denied: filter "test" is not allowed to connect without a check of the certificate: add insecure_tls = true in [filter.allow]`},
		contains("authorities that may not be read", try(good, `ca = "secret.pem"`), "denied: "),
		contains("authorities that are not there", try(good, `ca = "read/none.pem"`), "ENOENT: "),
		contains("authorities that are none", try(good, `ca = "read/bad.pem"`), "tls: "),
		{"certificate of the client", try(mutual, `ca = "read/ca.pem", certificate = "read/cert.pem", key = "read/key.pem"`), "hello"},
		{"no certificate of the client", try(mutual, `ca = "read/ca.pem"`), "tls"},
		contains("key of another", try(mutual, `ca = "read/ca.pem", certificate = "read/ca.pem", key = "read/key.pem"`), "tls: "),
		{"half a certificate", try(mutual, `certificate = "read/cert.pem"`), "!option certificate and key go together"},
	}, toLoopback)
	runSnippets(t, prepare, []snippet{
		{"insecure", try(stranger, `insecure = true`), "hello"},
		contains("only if asked for", try(stranger, `ca = "read/ca.pem"`), "unknown authority"),
	}, toLoopback, func(s *Settings) { s.Allow.InsecureTLS = true })
}

func TestConnectErrors(t *testing.T) {
	runSnippets(t, nil, []snippet{
		{"refused", `local s, err, code = fwx.connect("tcp://127.0.0.1:1") return code .. ": " .. err`, "ECONNREFUSED: connect to 127.0.0.1:1: connection refused"},
		{"scheme", `local s, err, code = fwx.connect("http://127.0.0.1:1") return code .. ": " .. err`, `EINVAL: address "http://127.0.0.1:1": wants "tcp://host:port", "tls://host:port" or "unix:/path"`},
		{"no port", `return select(3, fwx.connect("tcp://127.0.0.1"))`, "EINVAL"},
		{"port 0", `return select(3, fwx.connect("tcp://127.0.0.1:0"))`, "EINVAL"},
		{"no path", `return select(3, fwx.connect("unix:"))`, "EINVAL"},
		{"TLS options", `fwx.connect("tcp://127.0.0.1:1", {insecure = true})`, `!options of TLS are for "tls://"`},
	}, toLoopback)
}
