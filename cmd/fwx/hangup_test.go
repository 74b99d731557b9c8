//go:build !windows

package main

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"fwx/framework/fwxtest"
)

// TestHangUp reloads a gateway by SIGHUP, which does not watch its files, under
// traffic: no request is lost, and a mistake changes nothing.
func TestHangUp(t *testing.T) {
	g := start(t, newDirectory(t, "watch   = true", "watch = false"))
	hangUp := func(until string) {
		t.Helper()
		n := strings.Count(g.logged(), until)
		if err := g.process.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		fwxtest.Eventually(t, time.Minute, "the log has another "+until, func() bool { return strings.Count(g.logged(), until) > n })
	}
	var clients sync.WaitGroup
	var requests atomic.Int64
	done := make(chan struct{})
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if !g.downloads(1000) {
					return
				}
				requests.Add(1)
			}
		})
	}
	for i := range 20 {
		write(t, g.path("examples/lua/audit.lua"), strings.Repeat("\n", i)+readFile(t, repository+"/examples/lua/audit.lua"))
		hangUp("msg=reloaded")
		served := requests.Load()
		fwxtest.Eventually(t, time.Minute, "requests are served", func() bool { return requests.Load() > served })
	}
	write(t, g.path("config.toml"), strings.Replace(readFile(t, g.path("config.toml")), "servers", "sevrers", 1))
	hangUp("not reloaded: the old configuration stays")
	served := requests.Load()
	fwxtest.Eventually(t, time.Minute, "requests are served", func() bool { return requests.Load() > served })
	close(done)
	clients.Wait()
	if n := strings.Count(g.logged(), "msg=listening"); n != 1 {
		t.Errorf("the listener was opened %d times", n)
	}
	for _, want := range []string{"generation=21", `changed="filter audit"`, "config.toml:", `did you mean \"servers\"?`} {
		if !strings.Contains(g.logged(), want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	g.awaitLines("var/audit.jsonl", int(requests.Load()))
	g.stop()
	if lines := g.lines("var/audit.jsonl"); len(lines) != int(requests.Load()) {
		t.Errorf("%d lines for %d requests", len(lines), requests.Load())
	} else {
		for _, line := range lines {
			parseAudit(t, line)
		}
	}
	if t.Failed() {
		t.Logf("log:\n%s", g.logged())
	}
}

// TestHangUpLog rotates a script's log by SIGHUP: with a configuration that stays as it is,
// with a script that has changed, and with a configuration that is refused.
func TestHangUpLog(t *testing.T) {
	g := start(t, newDirectory(t, "watch   = true", "watch = false"))
	const name = "var/audit.jsonl"
	served := 0
	serve := func() {
		t.Helper()
		if !g.downloads(1000) {
			t.Fatal("no download")
		}
		served++
	}
	for i, prepare := range []func(){
		func() {},
		func() {
			write(t, g.path("examples/lua/audit.lua"), "\n"+readFile(t, g.path("examples/lua/audit.lua")))
		},
		func() {
			write(t, g.path("config.toml"), strings.Replace(readFile(t, g.path("config.toml")), "servers", "sevrers", 1))
		},
	} {
		serve()
		prepare()
		old := name + "." + strconv.Itoa(i)
		g.awaitLines(name, 1)
		if err := os.Rename(g.path(name), g.path(old)); err != nil {
			t.Fatal(err)
		}
		if err := g.process.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		fwxtest.Eventually(t, time.Minute, "there is a new log", func() bool {
			serve()
			text, err := os.ReadFile(g.path(name))
			return err == nil && len(text) > 0
		})
	}
	g.stop()
	lines := g.lines(name)
	for i := range 3 {
		lines = append(lines, g.lines(name+"."+strconv.Itoa(i))...)
	}
	if len(lines) != served {
		t.Errorf("%d lines for %d connections", len(lines), served)
	}
	for _, line := range lines {
		parseAudit(t, line)
	}
}
