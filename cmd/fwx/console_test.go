package main

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"fwx/framework/fwxtest"
)

// console runs "fwx console" in the gateway's directory, with an input.
func (g *gateway) console(input string, args ...string) (code int, output, complaints string) {
	g.tb.Helper()
	self, err := os.Executable()
	if err != nil {
		g.tb.Fatal(err)
	}
	var out, errs bytes.Buffer
	command := exec.CommandContext(g.tb.Context(), self, append([]string{"console"}, args...)...)
	command.Dir = g.dir
	command.Env = append(os.Environ(), actAsProgram+"=1")
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(input), &out, &errs
	var exit *exec.ExitError
	if err := command.Run(); err != nil && !errors.As(err, &exit) {
		g.tb.Fatal(err)
	}
	return command.ProcessState.ExitCode(), out.String(), errs.String()
}

// TestConsole attaches to a gateway with one connection whose handler waits, over either
// kind of admin address.
func TestConsole(t *testing.T) {
	t.Run("unix", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("the port has no unix sockets there")
		}
		g := startConsole(t, "unix:admin.sock")
		testConsole(t, g)
		for _, row := range []consoleRow{
			{"no configuration", "", []string{"-c", "none.toml", "list"}, exitError, `^$`, `none.toml`},
			{"by address", "", []string{"-a", "unix:admin.sock", "eval", "1"}, exitOK, `^1\n$`, ""},
			{"nobody there", "", []string{"-a", "unix:nobody", "list"}, exitError, `^$`, `the gateway cannot be reached`},
		} {
			row.check(g)
		}
		g.stop()
		consoleRow{"gone", "", []string{"list"}, exitError, `^$`, "the gateway cannot be reached"}.check(g)
	})
	t.Run("tcp", func(t *testing.T) {
		g := startConsole(t, "127.0.0.1:0")
		testConsole(t, g, "-a", g.admin())
		consoleRow{"the port is not known", "", []string{"list"}, exitError, `^$`, "name it by -a"}.check(g)
		g.stop()
		consoleRow{"gone", "", []string{"-a", g.admin(), "list"}, exitError, `^$`, "the gateway cannot be reached"}.check(g)
	})
}

// waitScript is a filter whose handler waits for an hour.
const waitScript = `local fwx = require "fwx"
return { on_data = function() fwx.sleep(3600) end }`

// startConsole starts a gateway with an admin listener whose console is on.
func startConsole(tb testing.TB, address string) *gateway {
	tb.Helper()
	dir := newDirectory(tb, "[admin]\nlisten  = \"127.0.0.1:0\"", "[admin]\nlisten  = \""+address+"\"", "console = false", "console = true",
		`"header_policy"]`, `"wait"]`, `protocol = "http"`, `protocol = "tcp"`, "[listener.http]\naccess_log = true", "",
		"[[listener]]", "[[filter]]\nname = \"wait\"\nkind = \"lua\"\nscript = \"wait.lua\"\n[[listener]]")
	write(tb, filepath.Join(dir, "wait.lua"), waitScript)
	return start(tb, dir)
}

// admin returns the address of the admin listener, as the log tells it.
func (g *gateway) admin() string {
	g.tb.Helper()
	g.awaitLog("msg=admin address=")
	return regexp.MustCompile(`msg=admin address=(\S+)`).FindStringSubmatch(g.logged())[1]
}

// consoleRow is a command of the console and what comes of it.
type consoleRow struct {
	name, input string
	args        []string
	code        int
	want        string // of the output, a pattern
	complaint   string
}

func (row consoleRow) check(g *gateway) {
	g.tb.Helper()
	code, out, complaints := g.console(row.input, row.args...)
	if code != row.code || !regexp.MustCompile(row.want).MatchString(out) || !regexp.MustCompile(row.complaint).MatchString(complaints) {
		g.tb.Errorf("%s: code %d, output %q, complaints %q", row.name, code, out, complaints)
	}
}

func testConsole(t *testing.T, g *gateway, attach ...string) {
	t.Helper()
	client, err := net.Dial("tcp", g.address) //nolint:noctx // it is there
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	fwxtest.Eventually(t, time.Minute, "the handler waits", func() bool {
		_, out, _ := g.console("", append(attach, "eval", "#conns() == 1 and #conns()[1].holds")...)
		return out == "1\n"
	})
	for _, row := range []consoleRow{
		{"list", "", []string{"list"}, exitOK, `(?s)^ID +CLIENT.*\n1 +127\.0\.0\.1:\d+ +\S+ +web +open .* wait\n1 open\n$`, ""},
		{"list behind", "", []string{"list", "1"}, exitOK, `HELD BY\n1 open\n$`, ""},
		{
			"show", "", []string{"show", "1"}, exitOK, `(?s)^connection 1 on worker \d+: open\n  client +127\..*filters +audit, blocklist, wait\n` +
				`.*  held by wait for .*\n    on_data waits for .*: sleep at wait\.lua:2\n$`, "",
		},
		{"filters", "", []string{"filters"}, exitOK, `audit +lua +web +0 +lua_fibers=\d+ lua_left_out=0 .*lua_waiting=0`, ""},
		{"alerts", "", []string{"alerts"}, exitOK, `^TIME +FILTER +WORKER +ALERT\n$`, ""},
		{"upstreams", "", []string{"upstreams"}, exitOK, `(?s)^UPSTREAM .*\nsite +127\.0\.0\.1:\d+ +builtin:demo +up +1 +1 +1 +0 +-\n$`, ""},
		{"drain", "", []string{"drain", "site", "builtin:demo"}, exitOK, `^127\.0\.0\.1:\d+ is drained, connections 1\n$`, ""},
		{"ready", "", []string{"ready", "site", "builtin:demo"}, exitOK, `^127\.0\.0\.1:\d+ is up, connections 1\n$`, ""},
		{"drain of nothing", "", []string{"drain", "site"}, exitError, `^$`, `usage: drain UPSTREAM SERVER`},
		{"drain of an unknown one", "", []string{"drain", "site", "unix:/x y"}, exitError, `^$`, `upstream "site": server "unix:/x y": there is no such server`},
		{"gateway", "", []string{"gateway"}, exitOK, `^ready true, connections 1\nbackend \w+ \(.+\), workers \d+\n$`, ""},
		{"eval", "", []string{"eval", "conn(1).listener"}, exitOK, `^web\n$`, ""},
		{"eval of what a terminal would obey", "", []string{"eval", `"\27[2Jx"`}, exitOK, "^\uFFFD\\[2Jx\n$", ""},
		{"eval of an error", "", []string{"eval", "error('oops')"}, exitError, `^$`, `fwx: console:1: oops`},
		{"what is looked at is a copy", "", []string{"eval", `local c = conn(1) c.listener = "x" return conn(1).listener`}, exitOK, `^web\n$`, ""},
		{"what is set is gone", "eval x = 1\neval x\n", nil, exitOK, `^nil\n$`, ""},
		{"nothing of the host changes", "", []string{"eval", `shared.set("k", 1)`}, exitError, `^$`, "attempt to call a"},
		{"nothing of the scripts is there", "", []string{"eval", `require "fwx"`}, exitError, `^$`, "attempt to call a"},
		{"eval without end", "", []string{"eval", "while true do end"}, exitError, `^$`, "console:1: (the instruction budget is spent|the handler has held its worker)"},
		{"help", "", []string{"help"}, exitOK, `kill ID +reset a connection`, ""},
		{"unknown", "", []string{"lst"}, exitError, `^$`, `unknown command "lst"; did you mean "list"\?`},
		{"no such connection", "", []string{"show", "99"}, exitError, `^$`, `99: there is no such connection`},
		{"no number", "", []string{"kill", "x"}, exitError, `^$`, `"x" is not the number of a connection`},
		{"missing number", "", []string{"kill"}, exitError, `^$`, `usage: kill ID`},
		{"too much", "", []string{"gateway", "x"}, exitError, `^$`, `usage: gateway`},
		{"input", "eval 1\n\n  eval 2 \nquit\neval 3\n", nil, exitOK, `^1\n2\n$`, ""},
		{"input that fails", "lst\neval 2\n", nil, exitError, `^2\n$`, `unknown command`},
		{"bad address", "", []string{"-a", "nobody", "list"}, exitError, `^$`, `wants ip:port`},
		{"kill", "", []string{"kill", "1"}, exitOK, `^killed 1\n$`, ""},
		{"kill again", "", []string{"kill", "1"}, exitError, `^$`, `1: there is no such connection`},
	} {
		row.args = append(slices.Clip(attach), row.args...)
		row.check(g)
	}
	if n, err := client.Read(make([]byte, 1)); err == nil {
		t.Errorf("the killed client has read %d bytes", n)
	}
	fwxtest.Eventually(t, time.Minute, "the log tells of the kill", func() bool { return strings.Contains(g.logged(), "ended by the operator") })
}

// TestConsoleIsOff sees that nothing is evaluated unless the configuration says so.
func TestConsoleIsOff(t *testing.T) {
	g := start(t, newDirectory(t))
	for _, row := range []consoleRow{
		{"eval", "", []string{"-a", g.admin(), "eval", "1"}, exitError, `^$`, "console = true"},
		{"list", "", []string{"-a", g.admin(), "list"}, exitOK, "0 open", ""},
	} {
		row.check(g)
	}
	g.stop()
}

// TestConsoleIsRemote sees that others than those of this machine can look and no more.
func TestConsoleIsRemote(t *testing.T) {
	g := start(t, newDirectory(t, "[admin]\nlisten  = \"127.0.0.1:0\"", "[admin]\nallow_remote = true\nlisten = \"0.0.0.0:0\"", "console = false", "console = true"))
	_, port, err := net.SplitHostPort(g.admin())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []consoleRow{
		{"list", "", []string{"-a", "127.0.0.1:" + port, "list"}, exitOK, "0 open", ""},
		{"eval", "", []string{"-a", "127.0.0.1:" + port, "eval", "1"}, exitError, `^$`, "what other machines can reach changes nothing"},
		{"kill", "", []string{"-a", "127.0.0.1:" + port, "kill", "1"}, exitError, `^$`, "what other machines can reach changes nothing"},
	} {
		row.check(g)
	}
	g.stop()
}
