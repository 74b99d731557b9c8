//go:build unix

package main

import (
	"errors"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const endless = `
local fwx = require "fwx"
local M = {}
function M.on_connect(conn)
  fwx.log.info("stuck")
  while true do end
end
return M
`

// stuckGateway is a gateway with one worker, a short drain and one script as the filter of all
// connections.
func stuckGateway(t *testing.T, script string) *gateway {
	t.Helper()
	dir := t.TempDir()
	write(t, dir+"/stuck.lua", script)
	write(t, dir+"/config.toml", `
[service]
workers = 1
drain   = "1s"
[[upstream]]
name    = "site"
servers = ["builtin:demo"]
[[filter]]
name         = "stuck"
kind         = "lua"
script       = "stuck.lua"
budget       = 1000000000000
event_budget = 1000000000000
[[listener]]
name     = "web"
listen   = "127.0.0.1:0"
filters  = ["stuck"]
upstream = "site"
`)
	return start(t, dir)
}

// connected connects some clients, the first of which the script is told of.
func (g *gateway) connected(t *testing.T, clients int) {
	t.Helper()
	for range clients {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", g.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
}

// ended waits for the end of the program, and returns how it went.
func (g *gateway) ended(t *testing.T) error {
	t.Helper()
	select {
	case err := <-g.end:
		return err
	case <-time.After(time.Minute):
		_ = g.process.Process.Kill() // it hangs
		t.Errorf("the program does not end:\n%s", g.logged())
		return <-g.end
	}
}

// The program ends within drain, and a little more where a script ends slowly, whatever the
// script does, and says why it had to.
func TestEndsWhateverAScriptDoes(t *testing.T) {
	for _, test := range []struct {
		name, script string
		most         time.Duration
		says         string // in the log; "": it ends well
	}{
		{"a worker that does not answer", endless, time.Second, "workers [0] do not answer"},
		{"timers without end", `
local fwx = require "fwx"
local M = {}
function M.on_connect()
  for _ = 1, 100 do fwx.every(0.001, function() local n = 0; for i = 1, 1e6 do n = n + i end end) end
  fwx.log.info("stuck")
end
return M`, time.Second + endLimit, ""},
		{"on_shutdown that waits", `
local fwx = require "fwx"
local M = {}
function M.on_connect() fwx.log.info("stuck") end
function M.on_shutdown() fwx.sleep(1000) end
return M`, time.Second + endLimit + time.Second, ""},
	} {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			t.Run(test.name+"/"+signal.String(), func(t *testing.T) {
				g := stuckGateway(t, test.script)
				g.connected(t, 8)
				g.awaitLog("stuck")
				began := time.Now()
				if err := g.process.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
				err := g.ended(t)
				const slack = 2 * time.Second // for delays on a busy machine
				if took := time.Since(began); took > test.most+slack {
					t.Errorf("it took %v, at most %v are right", took, test.most)
				}
				var exit *exec.ExitError
				switch {
				case test.says == "":
				case !errors.As(err, &exit) || exit.ExitCode() != exitError || !strings.Contains(g.logged(), test.says):
					t.Errorf("it ended with %v, and the log lacks %q:\n%s", err, test.says, g.logged())
				}
			})
		}
	}
}

// A second signal ends the program at once.
func TestSecondSignal(t *testing.T) {
	g := stuckGateway(t, endless)
	g.connected(t, 8)
	g.awaitLog("stuck")
	for range 50 { // the first one is heard before the second counts
		if err := g.process.Process.Signal(syscall.SIGTERM); err != nil {
			break // it has ended
		}
		select {
		case err := <-g.end:
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
				t.Errorf("it ended with %v", err)
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Errorf("it has not ended at once:\n%s", g.logged())
	_ = g.ended(t) // however it went
}
