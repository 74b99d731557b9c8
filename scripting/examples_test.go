package scripting

import (
	"bufio"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fwx/framework"
	"fwx/framework/fwxtest"
	"fwx/framework/store/redisstore"
	"fwx/framework/store/redisstore/redistest"
)

// example makes a gateway with a script of examples/lua.
func example(t *testing.T, backend, name string, allow Allow, config map[string]any, change ...func(*gateway)) *gateway {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("..", "examples", "lua", name))
	if err != nil {
		t.Fatal(err)
	}
	g := newGateway(t, backend, "", func(s *Settings) {
		s.Script, s.Source, s.Allow, s.Config = "examples/lua/"+name, string(source), allow, config
	})
	for _, c := range change {
		c(g)
	}
	return g.start()
}

func (g *gateway) write(name, text string) {
	g.tb.Helper()
	path := filepath.Join(g.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		g.tb.Fatal(err)
	}
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil { //nolint:gosec // A path of the test's own.
		g.tb.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		g.tb.Fatal(err)
	}
}

func TestExampleAudit(t *testing.T) {
	const connections = 20
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		g := example(t, backend, "audit.lua", Allow{Write: []string{"var/"}}, map[string]any{"path": "var/audit.jsonl"})
		for range connections {
			if got, err := g.exchange("hello"); got != "hello" || err != nil {
				t.Fatalf("got %q, %v", got, err)
			}
		}
		g.stop()
		text, err := os.ReadFile(filepath.Join(g.dir, "var", "audit.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		if len(lines) != connections {
			t.Fatalf("%d lines:\n%s", len(lines), text)
		}
		for _, line := range lines {
			checkRecord(t, line)
		}
	})
}

func checkRecord(t *testing.T, line string) {
	t.Helper()
	var record struct {
		Time              time.Time
		ID                int
		Client, Server    string
		Listener          string
		Upstream, Verdict string
		Reason            *string
		BytesUp           int `json:"bytes_up"`
		BytesDown         int `json:"bytes_down"`
		Duration          float64
	}
	if err := json.Unmarshal([]byte(line), &record); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	server, err := net.ResolveTCPAddr("tcp", record.Server)
	if time.Since(record.Time) > time.Minute || record.ID == 0 || record.Client != "127.0.0.1" || err != nil || server.Port == 0 ||
		record.Listener != "web" || record.Upstream != "site" || record.Verdict != "pass" || record.Reason != nil ||
		record.BytesUp != 5 || record.BytesDown != 5 || record.Duration <= 0 {
		t.Errorf("record %s", line)
	}
}

func TestExampleBlocklist(t *testing.T) {
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		const list = "lists/blocked.txt"
		g := example(t, backend, "blocklist.lua", Allow{Read: []string{"lists/"}}, map[string]any{"path": list}, func(g *gateway) {
			g.write(list, "# comment\n\n127.0.0.66  # one\n10.0.0.0/8\nnonsense\n::1\n")
		})
		g.logged(`line=5`)
		g.logged(`entries=3`)
		if got, err := g.exchange("abc"); got != "abc" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		g.write(list, "127.0.0.0/8\n")
		fwxtest.Eventually(t, patience, "the list is read again", func() bool {
			got, _ := g.exchange("abc")
			return got == ""
		})
		g.logged("client 127.0.0.1 is on the blocklist")
	})
}

func TestExampleBlocklistAsShipped(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "examples", "lua", "blocked.txt"))
	if err != nil {
		t.Fatal(err)
	}
	const list = "examples/lua/blocked.txt"
	g := example(t, anyBackend, "blocklist.lua", Allow{Read: []string{list}}, nil, func(g *gateway) { g.write(list, string(text)) })
	g.logged("entries=1")
	if strings.Contains(g.log.String(), "bad line") {
		t.Error(g.log)
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 66)}, Timeout: patience}
	c, err := d.DialContext(t.Context(), "tcp", g.fw.ListenAddress("web").String())
	if err == nil {
		defer c.Close()
	}
	g.logged("client 127.0.0.66 is on the blocklist")
}

// smtp answers as a mail server does, and notes the lines that it is sent.
func smtp(note func(line string)) func(net.Conn) {
	return func(c net.Conn) {
		mail := false
		for lines := bufio.NewScanner(c); lines.Scan(); {
			line := lines.Text()
			note(line)
			command, _, _ := strings.Cut(line, " ")
			answer := "250 done"
			switch {
			case mail && line != ".":
				continue
			case mail:
				mail = false
			case command == "DATA":
				mail, answer = true, "354 go on"
			case command == "QUIT":
				answer = "221 bye"
			case command != "EHLO" && command != "MAIL" && command != "RCPT":
				answer = "500 unknown"
			}
			_, _ = io.WriteString(c, answer+"\r\n") // an error is one for the client to see
		}
	}
}

func TestExampleSMTPGuard(t *testing.T) {
	source, err := os.ReadFile(filepath.Join("..", "examples", "lua", "smtp_guard.lua"))
	if err != nil {
		t.Fatal(err)
	}
	steps := []struct{ send, answer, seen string }{
		{"EHLO me\r\n", "250 done", "EHLO me"},
		{"EXPN staff\r\n", "500 unknown", "REFUSED"},
		{"mail FROM:<a@example.com>\r\n", "500 unknown", "mail FROM:<a@example.com>"}, // the server of the test knows capitals only
		{"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\n", "250 done|250 done", "MAIL FROM:<a@example.com>|RCPT TO:<b@example.com>"},
		{"DATA\r\n", "354 go on", "DATA"},
		{"Subject: x\r\n\r\nEXPN in the text\r\n.\r\n", "250 done", "Subject: x||EXPN in the text|."},
		{"STARTTLS\r\nVRFY b\r\n", "500 unknown|500 unknown", "REFUSED|REFUSED"},
		{"QUIT\r\n", "221 bye", "QUIT"},
	}
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		for _, size := range []int{1, 5, 4096} {
			t.Run(strconv.Itoa(size), func(t *testing.T) {
				seen := make(chan string, 16)
				server := serve(t, "tcp", "127.0.0.1:0", smtp(func(line string) { seen <- line }))
				g := newGatewayTo(t, server, 1, backend, "", func(s *Settings) {
					s.Script, s.Source = "examples/lua/smtp_guard.lua", string(source)
				}).start()
				c := g.dial()
				answers := bufio.NewReader(c)
				for _, step := range steps {
					for part := range slices.Chunk([]byte(step.send), size) {
						if _, err := c.Write(part); err != nil {
							t.Fatal(err)
						}
					}
					checkLines(t, step.answer, func() string {
						line, err := answers.ReadString('\n')
						if err != nil {
							t.Fatalf("%q: %v", step.send, err)
						}
						return strings.TrimSpace(line)
					})
					checkLines(t, step.seen, func() string { return <-seen })
				}
			})
		}
	})
}

// checkLines compares lines with those wanted, which have "|" between them.
func checkLines(t *testing.T, want string, next func() string) {
	t.Helper()
	for line := range strings.SplitSeq(want, "|") {
		if got := next(); got != line {
			t.Errorf("got %q, want %q", got, line)
		}
	}
}

func TestExampleSpool(t *testing.T) {
	for _, script := range []string{"spool.lua", "sdk_spool.lua"} {
		onBackends(t, func(t *testing.T, backend string) {
			t.Helper()
			t.Run(script, func(t *testing.T) {
				g := example(t, backend, script, Allow{Write: []string{"var/"}}, map[string]any{"dir": "var"})
				text := strings.Repeat("all of this is kept ", 50_000)
				if got, err := g.exchange(text); got != text || err != nil {
					t.Fatalf("got %d bytes, %v\n%s", len(got), err, g.log)
				}
				g.stop()
				spools, err := filepath.Glob(filepath.Join(g.dir, "var", "*-1.bin"))
				if err != nil || len(spools) != 1 {
					t.Fatalf("spools %q, %v", spools, err)
				}
				kept, err := os.ReadFile(spools[0])
				if err != nil || string(kept) != text {
					t.Errorf("kept %d bytes of %d, %v\n%s", len(kept), len(text), err, g.log)
				}
			})
		})
	}
}

func TestExampleSpoolRemoves(t *testing.T) {
	g := example(t, anyBackend, "spool.lua", Allow{Write: []string{"var/"}}, map[string]any{"dir": "var/spool", "keep": false})
	for i := range 5 {
		if got, err := g.exchange(strconv.Itoa(i)); got != strconv.Itoa(i) || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	}
	g.stop()
	left, err := os.ReadDir(filepath.Join(g.dir, "var", "spool"))
	if len(left) > 0 || err != nil {
		t.Errorf("left %v, %v", left, err)
	}
}

// rateLimited counts how many of the connections that clients make at the same
// time, to one gateway or the other, are let through.
func rateLimited(t *testing.T, connections int, gateways ...*gateway) int {
	t.Helper()
	const clients = 16
	var passed atomic.Int64
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			for n := i; n < connections; n += clients {
				if got, _ := gateways[n%len(gateways)].exchange("x"); got == "x" {
					passed.Add(1)
				}
			}
		})
	}
	all.Wait()
	return int(passed.Load())
}

func TestExampleRateLimit(t *testing.T) {
	const limit, connections = 50, 150
	config := map[string]any{"limit": limit, "window": 3600, "ban": 3600}
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		g := example(t, backend, "rate_limit.lua", Allow{}, config)
		if n := rateLimited(t, connections, g); n != limit {
			t.Errorf("%d connections passed, want %d", n, limit)
		}
		g.logged("127.0.0.1 connects too often")
		if n := strings.Count(g.log.String(), "msg=banned"); n != 1 {
			t.Errorf("banned %d times", n)
		}
	})
}

// TestExampleRateLimitIsShared has two gateways count in one Redis, and then
// looks at what they do without it.
func TestExampleRateLimitIsShared(t *testing.T) {
	const limit, connections = 100, 400
	server := redistest.Start(t)
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		source, err := os.ReadFile(filepath.Join("..", "examples", "lua", "rate_limit.lua"))
		if err != nil {
			t.Fatal(err)
		}
		gateways := make([]*gateway, 0, 2)
		for range cap(gateways) {
			s, err := redisstore.New(redisstore.Settings{Address: server.Address(), Prefix: backend + ":", Timeout: 10 * time.Second}, "", slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			gateways = append(gateways, newGatewayFrom(t, echo(t), framework.Config{
				Service: framework.ServiceConfig{Backend: backend, Workers: 2},
				Store:   framework.StoreConfig{Store: s},
			}, "", func(s *Settings) {
				s.Source, s.Config = string(source), map[string]any{"limit": limit, "window": 3600, "ban": 3600}
			}).start())
		}
		if n := rateLimited(t, connections, gateways...); n != limit {
			t.Errorf("%d connections passed, want %d", n, limit)
		}
		server.Stop()
		if got, _ := gateways[0].exchange("x"); got != "" {
			t.Error("a connection that could not be counted was let through")
		}
		gateways[0].logged("the store is unavailable")
		server.Restart() // and has forgotten the count
		fwxtest.Eventually(t, patience, "connections are counted again", func() bool {
			got, _ := gateways[0].exchange("x")
			return got == "x"
		})
	})
}
