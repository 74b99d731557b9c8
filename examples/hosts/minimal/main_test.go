package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// TestMain lets the test binary be the program, when it is told to.
func TestMain(m *testing.M) {
	if os.Getenv("FWX_TEST_PROGRAM") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestMinimal sends a request through the program and ends it as Ctrl-C does, where
// a process without a console can be sent that.
func TestMinimal(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "the site") // the client says if it is missing
	}))
	defer site.Close()

	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := exec.CommandContext(t.Context(), self, "127.0.0.1:0", strings.TrimPrefix(site.URL, "http://"))
	program.Env = append(os.Environ(), "FWX_TEST_PROGRAM=1")
	stderr, err := program.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = program.Process.Kill() }() // it has ended, if all went well
	log := bufio.NewReader(stderr)
	address := await(t, log, `listening.*address=(\S+)`)

	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address[1])
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n") // the answer says if it is missing
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasSuffix(string(answer), "the site") {
		t.Errorf("answer %q, %v", answer, err)
	}
	_ = conn.Close()

	await(t, log, "hello")                        // from the filter in Lua
	await(t, bufio.NewReader(stdout), "bytes up") // from the one in Go
	if runtime.GOOS == "windows" {
		return
	}
	if err := program.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, log) // until the program ends
	if err := program.Wait(); err != nil {
		t.Error(err)
	}
}

// await reads up to the line that has the pattern, and returns what that matches.
func await(tb testing.TB, lines *bufio.Reader, pattern string) []string {
	tb.Helper()
	wanted := regexp.MustCompile(pattern)
	var before strings.Builder
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			tb.Fatalf("no line has %q: %v after\n%s", pattern, err, &before)
		}
		if m := wanted.FindStringSubmatch(line); m != nil {
			return m
		}
		before.WriteString(line)
	}
}
