package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"fwx/framework/fwxtest"
)

const logConfig = `
[admin]
listen = "127.0.0.1:0"
[[upstream]]
name = "site"
servers = ["builtin:demo"]
[[listener]]
name = "web"
listen = "127.0.0.1:0"
protocol = "http"
upstream = "site"
[listener.http]
access_log = true
[[listener.route]]
status = 204
`

// logging is the program, with a log that is read when the test wants.
type logging struct {
	t          *testing.T
	process    *exec.Cmd
	log        *bufio.Reader
	pipe       *os.File
	web, admin string
}

func startLogging(t *testing.T) *logging {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir+"/config.toml", logConfig)
	read, stderr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	g := &logging{t: t, process: exec.CommandContext(t.Context(), self, "run"), log: bufio.NewReader(read), pipe: read}
	g.process.Dir, g.process.Stderr = dir, stderr
	g.process.Env = append(os.Environ(), actAsProgram+"=1")
	if err := g.process.Start(); err != nil {
		t.Fatal(err)
	}
	_ = stderr.Close() // it is the program's
	t.Cleanup(func() { _ = read.Close() })
	g.admin = g.until(regexp.MustCompile(`msg=admin address=(\S+)`))
	g.web = g.until(listeningLine)
	return g
}

// until reads the log up to a line, and returns what the pattern finds in it.
func (g *logging) until(line *regexp.Regexp) string {
	g.t.Helper()
	for {
		text, err := g.log.ReadString('\n')
		if err != nil {
			g.t.Fatalf("the log ends without %v: %v", line, err)
		}
		if m := line.FindStringSubmatch(text); m != nil {
			return m[len(m)-1]
		}
	}
}

// request makes a request, which must be answered soon.
func (g *logging) request(url string) (status int, body string) {
	g.t.Helper()
	client := http.Client{Timeout: time.Minute / 2}
	response, err := client.Get(url) //nolint:noctx // it has a time-out
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// fill makes so many requests that their lines are more than a pipe and the queue take.
func (g *logging) fill() {
	g.t.Helper()
	path := "/" + strings.Repeat("x", 12<<10)
	for i := range 500 {
		if status, _ := g.request("http://" + g.web + path); status != http.StatusNoContent {
			g.t.Fatalf("request %d: %d", i, status)
		}
	}
}

// dropped returns how many lines have been.
func (g *logging) dropped() (n int) {
	g.t.Helper()
	_, text := g.request("http://" + g.admin + "/metrics")
	const name = "\nfwx_log_dropped_total "
	if _, value, ok := strings.Cut(text, name); !ok {
		g.t.Fatalf("there is no such metric in %s", text)
	} else if _, err := fmt.Sscan(value, &n); err != nil {
		g.t.Fatal(err)
	}
	return n
}

// end asks the program to end, and waits for that and for a line of the log; nil: for none.
func (g *logging) end(line *regexp.Regexp) {
	g.t.Helper()
	asked, err := interrupt(g.process)
	if err != nil {
		g.t.Fatal(err)
	}
	if asked && line != nil {
		g.until(line)
	}
	if err := g.process.Wait(); asked && err != nil {
		g.t.Error(err)
	}
}

// TestNobodyReadsTheLog sees that a log that nobody reads stops nothing: neither requests nor the
// end of the program. When it is read again it says how many lines are missing.
func TestNobodyReadsTheLog(t *testing.T) {
	t.Run("for a while", func(t *testing.T) {
		g := startLogging(t)
		g.fill()
		if g.dropped() == 0 {
			t.Fatal("nothing was dropped")
		}
		if lines := g.until(regexp.MustCompile(`level=WARN msg="the log was not taken fast enough: lines were dropped" lines=(\d+)`)); lines == "0" {
			t.Error(lines)
		}
		g.end(regexp.MustCompile(`msg=ended`))
	})
	t.Run("to the end", func(t *testing.T) {
		g := startLogging(t)
		g.fill()
		g.end(nil)
	})
	t.Run("by a reader that has gone", func(t *testing.T) {
		g := startLogging(t)
		if err := g.pipe.Close(); err != nil {
			t.Fatal(err)
		}
		g.request("http://" + g.web + "/")
		fwxtest.Eventually(t, time.Minute, "the lines are counted", func() bool { return g.dropped() > 0 })
		g.end(nil)
	})
}
