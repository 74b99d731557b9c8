package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"fwx/cmd/fwx/demo"
	"fwx/framework/completion"
	"fwx/framework/fwxtest"
)

var backends = completion.Backends()

// TestDefaultConfig does what the README tells a newcomer to do.
func TestDefaultConfig(t *testing.T) {
	curl := fwxtest.Require(t, "curl")
	g := start(t, newDirectory(t))

	page, err := exec.CommandContext(t.Context(), curl, "-sS", "-D", g.path("head.txt"), "--max-time", "20", g.url("/")).CombinedOutput()
	if err != nil || !bytes.Contains(page, []byte("fwx")) {
		t.Errorf("curl: %v\n%s", err, page)
	}
	if head := readFile(t, g.path("head.txt")); !strings.Contains(head, "X-Frame-Options: DENY") {
		t.Errorf("the head is\n%s", head)
	}
	refused, err := exec.CommandContext(t.Context(), curl, "-sS", "--max-time", "20", "--interface", "127.0.0.66", g.url("/")).CombinedOutput()
	if err == nil {
		t.Errorf("a blocked client got an answer:\n%s", refused)
	}
	g.awaitLines("var/audit.jsonl", 2)
	g.stop()

	verdicts := map[string]string{}
	for _, line := range g.lines("var/audit.jsonl") {
		a := parseAudit(t, line)
		verdicts[a.Client] = a.Verdict
		if a.Client == "127.0.0.1" && (a.BytesUp == 0 || a.BytesDown <= uint64(len(page)) || a.Upstream != "site") {
			t.Errorf("audit line %s", line)
		}
	}
	if verdicts["127.0.0.1"] != "pass" || verdicts["127.0.0.66"] != "deny" {
		t.Errorf("verdicts %v", verdicts)
	}
	for _, want := range []string{"msg=listening", "msg=ended"} {
		if !strings.Contains(g.logged(), want) {
			t.Errorf("the log lacks %q:\n%s", want, g.logged())
		}
	}
}

type auditLine struct {
	Time      time.Time `json:"time"`
	Client    string    `json:"client"`
	Upstream  string    `json:"upstream"`
	BytesUp   uint64    `json:"bytes_up"`
	BytesDown uint64    `json:"bytes_down"`
	Duration  float64   `json:"duration"`
	Verdict   string    `json:"verdict"`
}

func parseAudit(tb testing.TB, line string) auditLine {
	tb.Helper()
	var a auditLine
	if err := json.Unmarshal([]byte(line), &a); err != nil {
		tb.Errorf("audit line %q: %v", line, err)
	}
	return a
}

// TestBlocklistIsWatched changes the list of a running gateway.
func TestBlocklistIsWatched(t *testing.T) {
	g := start(t, newDirectory(t))
	list := g.path("examples/lua/blocked.txt")
	refused := func() bool {
		response, err := g.do(http.MethodGet, "/", nil)
		if err == nil {
			_ = response.Body.Close()
		}
		return err != nil
	}
	if refused() {
		t.Fatal("refused before it is listed")
	}
	write(t, list, "# a comment\n\nnot an address\n127.0.0.0/8\n")
	fwxtest.Eventually(t, time.Minute, "the client is refused", refused)
	g.awaitLog("line=3") // the log is written on its own goroutine
	// As editors save: a new file in the place of the old one.
	write(t, list+".new", "127.0.0.66\n")
	if err := os.Rename(list+".new", list); err != nil {
		t.Fatal(err)
	}
	fwxtest.Eventually(t, time.Minute, "the client is let in", func() bool { return !refused() })
	g.stop()
}

// do makes a request on a connection of its own.
func (g *gateway) do(method, path string, body io.Reader) (*http.Response, error) {
	request, err := http.NewRequestWithContext(g.tb.Context(), method, g.url(path), body)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}, Timeout: 5 * time.Minute}
	return client.Do(request)
}

// downloads asks for so many bytes and reports whether there was an answer; one
// that has another number fails the test.
func (g *gateway) downloads(n int64) bool {
	response, err := g.do(http.MethodGet, fmt.Sprintf("/bytes/%d", n), nil)
	if err != nil {
		g.tb.Error(err)
		return false
	}
	if got, err := io.Copy(io.Discard, response.Body); got != n || err != nil {
		g.tb.Errorf("got %d bytes, %v", got, err)
	}
	_ = response.Body.Close()
	return true
}

// bulkFilters are the scripts of TestBulk: one lets every chunk go by, one
// replaces each by an equal string.
var bulkFilters = map[string]string{
	"nil":     `return { on_data = function(conn, chunk, direction) end }`,
	"replace": `return { on_data = function(conn, chunk, direction) return tostring(chunk) end }`,
}

// TestBulk sends much through a filter in both directions and looks at every
// byte of it and at the memory that it takes.
func TestBulk(t *testing.T) {
	down, up := int64(64<<20), int64(16<<20)
	if fwxtest.Long() {
		down, up = 1<<30, 256<<20
	}
	want := sum(t, io.LimitReader(demo.Bytes(), down))
	wantUp := sum(t, io.LimitReader(demo.Bytes(), up))
	for _, backend := range backends {
		for name, script := range bulkFilters {
			t.Run(backend+"/"+name, func(t *testing.T) {
				dir := newDirectory(t, `"auto"`, `"`+backend+`"`, `"header_policy"]`, `"header_policy", "bulk"]`,
					"[[listener]]", "[[filter]]\nname = \"bulk\"\nkind = \"lua\"\nscript = \"bulk.lua\"\n[[listener]]")
				write(t, filepath.Join(dir, "bulk.lua"), script)
				g := start(t, dir)

				begin := time.Now()
				response, err := g.do(http.MethodGet, fmt.Sprintf("/bytes/%d", down), nil)
				if err != nil {
					t.Fatal(err)
				}
				if got := sum(t, response.Body); got != want {
					t.Errorf("%d bytes down: sha256 %s, want %s", down, got, want)
				}
				_ = response.Body.Close()
				downTime := time.Since(begin)

				begin = time.Now()
				response, err = g.do(http.MethodPost, "/echo", io.LimitReader(demo.Bytes(), up))
				if err != nil {
					t.Fatal(err)
				}
				if got := sum(t, response.Body); got != wantUp {
					t.Errorf("%d bytes up and back: sha256 %s, want %s", up, got, wantUp)
				}
				_ = response.Body.Close()
				const limit = 256 << 20
				if m := g.memory(); m > limit && !fwxtest.RaceEnabled {
					t.Errorf("%d MiB of memory", m>>20)
				}
				t.Logf("%d MiB down in %v, %d MiB up in %v, at most %d MiB resident", down>>20, downTime, up>>20, time.Since(begin), g.memory()>>20)
				g.stop()
			})
		}
	}
}

func sum(tb testing.TB, r io.Reader) string {
	tb.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		tb.Error(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// spoolFilter writes what clients send to disk.
const spoolFilter = `[[filter]]
name   = "spool"
kind   = "lua"
script = "examples/lua/spool.lua"
[filter.allow]
write = ["var/"]
[filter.config]
dir = "var/spool"

`

// TestManyConnections opens and closes connections at random points, half of
// them killed in the middle of a transfer, with audit and spool on.
func TestManyConnections(t *testing.T) {
	total := 1000
	if fwxtest.Long() {
		total = 10_000
	}
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			g := start(t, newDirectory(t, `"auto"`, `"`+backend+`"`, `"header_policy"]`, `"header_policy", "spool"]`, "[[listener]]", spoolFilter+"[[listener]]"))
			connectAndLeave(t, g.address, 1)
			g.awaitLines("var/audit.jsonl", 1)
			before := g.descriptors()

			var clients sync.WaitGroup
			const parallel = 64
			for i := range parallel {
				clients.Go(func() {
					random := rand.New(rand.NewPCG(1, uint64(i)))
					for range (total - 1 + parallel - 1 - i) / parallel {
						connectAndLeave(t, g.address, random.IntN(waysToLeave()))
					}
				})
			}
			clients.Wait()
			lines := g.awaitLines("var/audit.jsonl", total)
			if len(lines) != total {
				t.Errorf("%d audit lines for %d connections", len(lines), total)
			}
			for _, line := range lines {
				parseAudit(t, line)
			}
			fwxtest.Eventually(t, time.Minute, "the descriptors are closed", func() bool { return g.descriptors() <= before })
			t.Logf("%d connections, at most %d MiB resident, %d threads", total, g.memory()>>20, g.status("Threads"))
			g.stop()
			for _, word := range []string{"level=ERROR", "panic", "leak"} {
				if strings.Contains(g.logged(), word) {
					t.Errorf("the log has %q:\n%.4000s", word, g.logged())
				}
			}
		})
	}
}

// waysToLeave is how many ways connectAndLeave has here.
func waysToLeave() int {
	if runtime.GOOS == "windows" {
		return 4 // it does not tell of a connection that is reset before it is accepted
	}
	return 6
}

// connectAndLeave opens a connection and leaves it at one of several points.
func connectAndLeave(tb testing.TB, address string, how int) {
	tb.Helper()
	conn, err := net.Dial("tcp", address) //nolint:noctx // loopback
	if err != nil {
		tb.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	tcp := conn.(*net.TCPConn)
	switch how {
	case 0: // says nothing
	case 1: // a request, and its whole answer
		fmt.Fprint(conn, "GET /bytes/1000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn) // how it ends is not the question
	case 2: // half a request
		fmt.Fprint(conn, "GET /bytes/10")
	case 3: // killed in the middle of the answer
		fmt.Fprint(conn, "GET /bytes/10000000 HTTP/1.1\r\nHost: x\r\n\r\n")
		_, _ = io.CopyN(io.Discard, conn, 5000) // as above
		_ = tcp.SetLinger(0)                    // a TCP connection has one
	case 4: // killed in the middle of an upload
		fmt.Fprint(conn, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
		_, _ = conn.Write(make([]byte, 100_000)) // as above
		_ = tcp.SetLinger(0)                     // as above
	case 5: // killed at once
		_ = tcp.SetLinger(0) // as above
	}
}
