package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"fwx/framework/fwxtest"
)

// gateway is the program, started by a test in a process and a directory of its own.
type gateway struct {
	tb      testing.TB
	dir     string
	address string // of the first listener
	process *exec.Cmd

	mu  sync.Mutex
	log strings.Builder
	end chan error
}

// repository is the top of the checkout, seen from this package.
const repository = "../.."

// newDirectory returns a directory with the example scripts and the default
// configuration, changed by edits (old text, new text, ...) to listen on a free port.
func newDirectory(tb testing.TB, edits ...string) string {
	tb.Helper()
	dir := tb.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "examples", "lua"), os.DirFS(filepath.Join(repository, "examples", "lua"))); err != nil {
		tb.Fatal(err)
	}
	config := readFile(tb, filepath.Join(repository, "config.toml"))
	edits = append([]string{`"127.0.0.1:8080"`, `"127.0.0.1:0"`, `"127.0.0.1:9901"`, `"127.0.0.1:0"`}, edits...)
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(config, edits[i]) {
			tb.Fatalf("config.toml does not contain %q", edits[i])
		}
		config = strings.Replace(config, edits[i], edits[i+1], 1)
	}
	write(tb, filepath.Join(dir, "config.toml"), config)
	return dir
}

func write(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func readFile(tb testing.TB, path string) string {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// start runs the program in dir, with "run" unless there are other arguments, and waits
// until it listens.
func start(tb testing.TB, dir string, arguments ...string) *gateway {
	tb.Helper()
	if len(arguments) == 0 {
		arguments = []string{"run"}
	}
	return startCommand(tb, dir, append([]string{self(tb)}, arguments...)...)
}

// self is the path of the test's own program, which acts as fwx when it is started.
func self(tb testing.TB) string {
	tb.Helper()
	path, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

// startCommand runs a command in dir that becomes the program, and waits until it listens.
func startCommand(tb testing.TB, dir string, command ...string) *gateway {
	tb.Helper()
	g := &gateway{tb: tb, dir: dir, end: make(chan error, 1)}
	g.process = exec.CommandContext(tb.Context(), command[0], command[1:]...)
	g.process.Dir = dir
	g.process.Env = append(os.Environ(), actAsProgram+"=1")
	stderr, err := g.process.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := g.process.Start(); err != nil {
		tb.Fatal(err)
	}
	listening := make(chan string, 1)
	go g.read(stderr, listening)
	select {
	case g.address = <-listening:
	case err := <-g.end:
		tb.Fatalf("the program ended: %v\n%s", err, g.logged())
	case <-time.After(time.Minute):
		tb.Fatalf("the program does not listen:\n%s", g.logged())
	}
	return g
}

var listeningLine = regexp.MustCompile(`msg=listening .*address=(\S+)`)

// read gathers the log and tells the address of the first listener.
func (g *gateway) read(log io.Reader, listening chan<- string) {
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		g.mu.Lock()
		g.log.WriteString(lines.Text() + "\n")
		g.mu.Unlock()
		if m := listeningLine.FindStringSubmatch(lines.Text()); m != nil {
			select {
			case listening <- m[1]:
			default:
			}
		}
	}
	g.end <- g.process.Wait()
}

func (g *gateway) logged() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.log.String()
}

// awaitLog waits until the log has a text.
func (g *gateway) awaitLog(text string) {
	g.tb.Helper()
	fwxtest.Eventually(g.tb, time.Minute, "the log has "+text, func() bool { return strings.Contains(g.logged(), text) })
}

// stop ends the program as an operator would and checks that it ended well.
func (g *gateway) stop() {
	g.tb.Helper()
	asked, err := interrupt(g.process)
	if err != nil {
		g.tb.Fatal(err)
	}
	select {
	case err := <-g.end:
		if err != nil && asked {
			g.tb.Errorf("the program ended with %v:\n%s", err, g.logged())
		}
	case <-time.After(time.Minute):
		_ = g.process.Process.Kill() // it hangs
		g.tb.Errorf("the program does not end:\n%s", g.logged())
	}
}

func (g *gateway) url(path string) string { return "http://" + g.address + path }

// path returns a file of the program's directory.
func (g *gateway) path(name string) string { return filepath.Join(g.dir, name) }

// lines returns the lines of a file; none while it does not exist.
func (g *gateway) lines(name string) []string {
	text, err := os.ReadFile(g.path(name))
	if err != nil || len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// awaitLines waits until a file has n lines and returns them.
func (g *gateway) awaitLines(name string, n int) []string {
	g.tb.Helper()
	fwxtest.Eventually(g.tb, time.Minute, name+" has "+strconv.Itoa(n)+" lines", func() bool { return len(g.lines(name)) >= n })
	return g.lines(name)
}
