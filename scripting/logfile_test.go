package scripting

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"fwx/framework/fwxtest"
)

// logs are the lines of the files whose names begin as the log's does, sorted.
func (g *gateway) logs(name string) (lines []string) {
	g.tb.Helper()
	paths, err := filepath.Glob(filepath.Join(g.dir, name+"*"))
	if err != nil {
		g.tb.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			g.tb.Fatal(err)
		}
		lines = append(lines, slices.Collect(strings.Lines(string(text)))...)
	}
	slices.Sort(lines)
	return lines
}

// move renames a file of the gateway.
func (g *gateway) move(from, to string) {
	g.tb.Helper()
	if err := os.Rename(filepath.Join(g.dir, from), filepath.Join(g.dir, to)); err != nil {
		g.tb.Fatal(err)
	}
}

// has waits until a file of the gateway has a text.
func (g *gateway) has(name, text string) {
	g.tb.Helper()
	fwxtest.Eventually(g.tb, patience, name+" has "+text, func() bool {
		content, err := os.ReadFile(filepath.Join(g.dir, name))
		return err == nil && strings.Contains(string(content), text)
	})
}

// says sends a line, which the script appends.
func (g *gateway) says(text string) {
	g.tb.Helper()
	if got, err := g.exchange(text); err != nil || got != text {
		g.tb.Fatalf("exchanged %q, %v", got, err)
	}
}

const logScript = `local log
	function M.on_init() log = assert(fwx.file.open("var/log", "a")) end
	function M.on_data(conn, chunk, dir) if dir == "upstream" then assert(log:append(chunk .. "\n")) end end`

// handleScript appends by a handle in the SDK's shape, several writes at a time.
const handleScript = `local log
	function M.on_init() log = assert(fwx.firewall:hook_to_completion_port("var/log", "a")) end
	function M.on_data(conn, chunk, dir)
		if dir == "upstream" then
			local ov = fwx.firewall:create_overlapped()
			ov:set_notification_interface(function(ok, n, err) if not ok then fwx.log.error("lost: " .. err) end end)
			assert(log:write_file(ov:get_overlapped{}, chunk .. "\n"))
		end
	end`

// TestRotation renames a log again and again while connections on all workers append to it.
// The name is followed, at once when SIGHUP asks for it; no record is lost or torn.
func TestRotation(t *testing.T) {
	const clients = 4
	records, turns := 50, 2
	if fwxtest.Long() {
		records, turns = 200, 8
	}
	for name, script := range map[string]string{"append": logScript, "handle": handleScript} {
		for _, backend := range backends {
			for _, hangUp := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%s/hangup=%t", name, backend, hangUp), func(t *testing.T) {
					workers := 2
					if name == "handle" && runtime.GOOS == "windows" {
						workers = 1 // Wine appends at the size that it has asked for before: two handles can write at one place
					}
					g := newGatewayOf(t, workers, backend, script).start()
					var writers sync.WaitGroup
					for i := range clients {
						writers.Go(func() {
							for n := range records {
								text := fmt.Sprintf("record %d of client %d", n, i)
								if got, err := g.exchange(text); err != nil || got != text {
									t.Errorf("exchanged %q, %v", got, err)
									return
								}
							}
						})
					}
					for turn := range turns {
						g.move("var/log", "var/log."+strconv.Itoa(turn))
						if hangUp {
							_ = g.fw.Reopen() // no filter calls it
						}
						fwxtest.Eventually(t, patience, "there is a new file", func() bool {
							_, err := os.Stat(filepath.Join(g.dir, "var/log"))
							return err == nil
						})
					}
					writers.Wait()
					want := make([]string, 0, clients*records)
					for i := range clients {
						for n := range records {
							want = append(want, fmt.Sprintf("record %d of client %d\n", n, i))
						}
					}
					slices.Sort(want)
					fwxtest.Eventually(t, patience, "all records are there", func() bool { return len(g.logs("var/log")) >= len(want) })
					if got := g.logs("var/log"); !slices.Equal(got, want) {
						t.Errorf("%d records are not those that were appended", len(got))
					}
					fwxtest.Eventually(t, patience, "the new file is appended to", func() bool {
						g.says("last")
						text, err := os.ReadFile(filepath.Join(g.dir, "var/log"))
						return err == nil && strings.Contains(string(text), "last\n")
					})
				})
			}
		}
	}
}

// TestLogRemoved removes a log, and then its directory.
func TestLogRemoved(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Wine keeps the name of a removed file that is open, and a directory with one cannot be moved")
	}
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			g := newGateway(t, backend, strings.ReplaceAll(logScript, "var/log", "var/logs/log"), func(s *Settings) {
				if err := os.MkdirAll(filepath.Join(s.Dir, "var/logs"), 0o700); err != nil {
					t.Fatal(err)
				}
			}).start()
			const name = "var/logs/log"
			g.says("one")
			g.has(name, "one\n")
			if err := os.Remove(filepath.Join(g.dir, name)); err != nil {
				t.Fatal(err)
			}
			g.logged("is opened anew")
			g.says("two")
			g.has(name, "two\n")

			g.move("var/logs", "var/moved")
			g.logged("cannot be opened anew: the old one is written on; it is tried again")
			g.says("three")
			g.has("var/moved/log", "two\nthree\n")
			if err := os.Mkdir(filepath.Join(g.dir, "var/logs"), 0o700); err != nil {
				t.Fatal(err)
			}
			g.has(name, "") // it is tried again
			g.says("four")
			g.has(name, "four\n")

			// It is the new directory that is watched now.
			g.move(name, "var/logs/old")
			g.has(name, "")
			g.says("five")
			g.has(name, "five\n")
			g.has("var/logs/old", "four\n")
		})
	}
}

// TestLogOfConnections has each connection open the log for itself, and one of an old
// generation outlive a rotation.
func TestLogOfConnections(t *testing.T) {
	g := newGateway(t, anyBackend, `function M.on_connect(conn) conn.ctx.log = assert(fwx.file.open("var/log", "a")) end
		function M.on_data(conn, chunk, dir) if dir == "upstream" then assert(conn.ctx.log:append(chunk .. "\n")) end end
		function M.on_shutdown() assert(fwx.file.write("var/end", "end")) end`).start()
	old := g.dial()
	say := func(text string) {
		t.Helper()
		if _, err := old.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	say("one")
	g.has("var/log", "one\n")
	g.config.Filters[0].Filter = newGateway(t, anyBackend, logScript, func(s *Settings) { s.Dir = g.dir }).filter
	g.reload()
	g.says("new")
	g.has("var/log", "one\nnew\n")
	g.move("var/log", "var/log.1")
	_ = g.fw.Reopen() // no filter calls it
	g.has("var/log", "")
	g.says("newer")
	g.has("var/log", "newer\n")
	fwxtest.Eventually(t, patience, "the old connection has the new file", func() bool {
		say("x")
		text, err := os.ReadFile(filepath.Join(g.dir, "var/log"))
		return err == nil && strings.Contains(string(text), "x")
	})
	_ = old.Close()
	fwxtest.Eventually(t, patience, "the old generation has ended", func() bool {
		_, err := os.Stat(filepath.Join(g.dir, "var/end"))
		return err == nil
	})
}
