//go:build linux

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"fwx/framework/fwxtest"
)

// fifoScript makes the connections of one client wait for a FIFO.
const fifoScript = `
local fwx = require "fwx"
return { on_connect = function(conn)
  if conn.client ~= "127.0.0.2" then return end
  local f = assert(fwx.file.open("slow.fifo"))
  fwx.log.info("waits")
  local got = f:read(0, 1)
  f:close()
  if got ~= "x" then return fwx.deny("read " .. tostring(got)) end
end }`

// TestNobodyElseWaits is the promise of fwx: handlers that wait for a file that
// hangs hold up neither the other connections of their worker nor operations on
// other files.
func TestNobodyElseWaits(t *testing.T) {
	const waiting, clients, requests = 64, 64, 30
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			dir := newDirectory(t, `"auto"`, `"`+backend+`"`, "workers = 0", "workers = 1", `"header_policy"]`, `"header_policy", "fifo"]`,
				"[[listener]]", "[[filter]]\nname = \"fifo\"\nkind = \"lua\"\nscript = \"fifo.lua\"\n[filter.allow]\nread = [\"slow.fifo\"]\n[[listener]]")
			write(t, filepath.Join(dir, "fifo.lua"), fifoScript)
			fifo := filepath.Join(dir, "slow.fifo")
			if err := syscall.Mkfifo(fifo, 0o600); err != nil {
				t.Fatal(err)
			}
			g := start(t, dir)

			stalled := make([]net.Conn, 0, waiting)
			for range waiting {
				stalled = append(stalled, request(t, g.address, "127.0.0.2"))
			}
			fwxtest.Eventually(t, time.Minute, "all handlers wait", func() bool { return strings.Count(g.logged(), "msg=waits") == waiting })

			// The others go on, and so do their writes.
			var others sync.WaitGroup
			for range clients {
				others.Go(func() {
					for range requests {
						if !g.downloads(1000) {
							return
						}
					}
				})
			}
			others.Wait()
			g.awaitLines("var/audit.jsonl", clients*requests)
			if threads := g.status("Threads"); threads > waiting/2 {
				t.Errorf("%d threads for %d handlers that wait", threads, waiting)
			}

			// When the FIFO is written, those that waited go on.
			if err := os.WriteFile(fifo, []byte(strings.Repeat("x", waiting)), 0); err != nil {
				t.Fatal(err)
			}
			for _, conn := range stalled {
				answer, err := io.ReadAll(conn)
				if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200") {
					t.Errorf("after the wait: %.100q, %v", answer, err)
				}
				_ = conn.Close()
			}
			g.awaitLines("var/audit.jsonl", clients*requests+waiting)
			g.stop()
		})
	}
}

// request sends a request from a local address.
func request(tb testing.TB, address, from string) net.Conn {
	tb.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: time.Minute}
	conn, err := dialer.DialContext(tb.Context(), "tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	fmt.Fprintf(conn, "%s / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", http.MethodGet)
	return conn
}
