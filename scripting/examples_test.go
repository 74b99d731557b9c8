package scripting

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"fwx/framework/fwxtest"
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
