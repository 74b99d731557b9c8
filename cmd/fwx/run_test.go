package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"path/filepath"
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

const upperScript = `return { on_data = function(conn, chunk, direction) return (tostring(chunk):upper()) end }`

// TestRun runs the program's "run" with a filter in Lua between a client and an
// echo server, and ends it as a signal does.
func TestRun(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // the test ends it
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = echo.Close() }()
	go func() {
		for c, err := echo.Accept(); err == nil; c, err = echo.Accept() {
			_, _ = io.Copy(c, c) // one client after the other
			_ = c.Close()
		}
	}()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "upper.lua"), upperScript)
	write(t, filepath.Join(dir, "config.toml"), `
[[upstream]]
name = "echo"
servers = ["`+echo.Addr().String()+`"]
[[filter]]
name = "upper"
kind = "lua"
script = "upper.lua"
[[listener]]
name = "in"
listen = "127.0.0.1:0"
upstream = "echo"
filters = ["upper"]
`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	printed, code := &output{}, make(chan int, 1)
	go func() {
		code <- program{printed, printed}.main(ctx, []string{"run", "-c", filepath.Join(dir, "config.toml")})
	}()
	client, err := net.Dial("tcp", printed.address(t)) //nolint:noctx // it is there
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	_ = client.SetDeadline(time.Now().Add(time.Minute)) // it is open
	if _, err := io.WriteString(client, "through the gateway"); err != nil {
		t.Fatal(err)
	}
	if err := client.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(client); err != nil || string(got) != "THROUGH THE GATEWAY" {
		t.Errorf("got %q, %v", got, err)
	}
	cancel()
	select {
	case c := <-code:
		if c != exitOK {
			t.Errorf("exit code %d:\n%s", c, printed)
		}
	case <-time.After(time.Minute):
		t.Errorf("the program does not end:\n%s", printed)
	}
}
