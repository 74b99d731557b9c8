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

// TestMinimal sends a request through the program and ends it as Ctrl-C does.
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
	var out strings.Builder
	program.Stdout = &out
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	log := bufio.NewReader(stderr)
	address := awaitAddress(t, log)

	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n") // the answer says if it is missing
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasSuffix(string(answer), "the site") {
		t.Errorf("answer %q, %v", answer, err)
	}
	_ = conn.Close()

	if err := program.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(log) // until the program ends
	if err := program.Wait(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(string(rest), "hello") {
		t.Errorf("the filter in Lua has not greeted:\n%s", rest)
	}
	if !strings.Contains(out.String(), "bytes up") {
		t.Errorf("the filter in Go has not counted:\n%s", out.String())
	}
}

// awaitAddress reads the log up to the line that tells where the program listens.
func awaitAddress(tb testing.TB, log *bufio.Reader) string {
	tb.Helper()
	listening := regexp.MustCompile(`listening.*address=(\S+)`)
	for {
		line, err := log.ReadString('\n')
		if err != nil {
			tb.Fatal(err)
		}
		if m := listening.FindStringSubmatch(line); m != nil {
			return m[1]
		}
	}
}
