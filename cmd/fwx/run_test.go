package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"fwx/framework/fwxtest"
)

// output gathers what the program prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// address returns where the program listens, once it does.
func (o *output) address(tb testing.TB) string {
	tb.Helper()
	var m []string
	fwxtest.Eventually(tb, time.Minute, "the program listens", func() bool {
		m = listeningLine.FindStringSubmatch(o.String())
		return m != nil
	})
	return m[1]
}

// wordScript puts a word before what clients send.
func wordScript(word string) string {
	return `return { on_data = function(conn, chunk, direction)
	if direction == "upstream" then return "` + word + ` " .. tostring(chunk) end
end }
`
}

// running is the program's "run" in a goroutine, between clients and an echo server.
type running struct {
	tb      testing.TB
	dir     string
	printed *output
	address string
	stop    func()
}

const wordConfig = `
[service]
workers = 2
[[upstream]]
name = "echo"
servers = ["ECHO"]
[[filter]]
name = "word"
kind = "lua"
script = "scripts/word.lua"
[[listener]]
name = "in"
listen = "127.0.0.1:0"
upstream = "echo"
filters = ["word"]
`

func newRunning(tb testing.TB, config string) *running {
	tb.Helper()
	r := &running{tb: tb, dir: tb.TempDir(), printed: &output{}}
	r.write("scripts/word.lua", wordScript("one"))
	r.write("config.toml", strings.ReplaceAll(config, "ECHO", echoServer(tb)))
	ctx, cancel := context.WithCancel(tb.Context())
	code := make(chan int, 1)
	go func() {
		code <- program{out: r.printed, err: r.printed}.main(ctx, []string{"run", "-c", r.path("config.toml")})
	}()
	ended := false
	r.stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		select {
		case c := <-code:
			if c != exitOK {
				tb.Errorf("exit code %d", c)
			}
		case <-time.After(time.Minute):
			tb.Error("the program does not end")
		}
		if tb.Failed() {
			tb.Logf("printed:\n%s", r.printed)
		}
	}
	tb.Cleanup(r.stop)
	r.address = r.printed.address(tb)
	return r
}

// echoServer runs a server that sends back what it is sent, until the end of the test.
func echoServer(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // the test ends it
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			go func() {
				_, _ = io.Copy(struct{ io.Writer }{c}, c) // however it ends
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

func (r *running) path(name string) string { return filepath.Join(r.dir, filepath.FromSlash(name)) }

func (r *running) write(name, text string) {
	r.tb.Helper()
	if err := os.MkdirAll(filepath.Dir(r.path(name)), 0o750); err != nil {
		r.tb.Fatal(err)
	}
	write(r.tb, r.path(name), text)
}

// prints waits until the program has printed a text.
func (r *running) prints(text string) {
	r.tb.Helper()
	fwxtest.Eventually(r.tb, time.Minute, "it prints "+text, func() bool { return strings.Contains(r.printed.String(), text) })
}

// client is a connection through the gateway that stays open.
type client struct {
	tb     testing.TB
	conn   net.Conn
	answer *bufio.Reader
}

func (r *running) dial() *client {
	r.tb.Helper()
	return dial(r.tb, r.address)
}

// dial connects to an address until the end of the test.
func dial(tb testing.TB, address string) *client {
	tb.Helper()
	conn, err := net.Dial("tcp", address) //nolint:noctx // it is there
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute)) // it is open
	return &client{tb, conn, bufio.NewReader(conn)}
}

// says sends a line and checks which word it got.
func (c *client) says(word string) {
	c.tb.Helper()
	if _, err := io.WriteString(c.conn, "line\n"); err != nil {
		c.tb.Fatal(err)
	}
	if line, err := c.answer.ReadString('\n'); err != nil || line != word+" line\n" {
		c.tb.Errorf("got %q, %v; want the word %q", line, err, word)
	}
}

// TestRun runs the program's "run" with a filter in Lua between a client and an
// echo server, and ends it as a signal does.
func TestRun(t *testing.T) {
	r := newRunning(t, wordConfig)
	c := r.dial()
	if _, err := io.WriteString(c.conn, "through the gateway"); err != nil {
		t.Fatal(err)
	}
	if err := c.conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c.answer); err != nil || string(got) != "one through the gateway" {
		t.Errorf("got %q, %v", got, err)
	}
	r.stop()
	chosen := regexp.MustCompile(`msg="completion port" backend=\w+ reason="passed its self-test.*" workers=2\n`)
	if lines := chosen.FindAllString(r.printed.String(), -1); len(lines) != 1 {
		t.Errorf("the choice of the backend is not told in one line:\n%s", r.printed)
	}
}
