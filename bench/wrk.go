//go:build linux

package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// wrkReport makes wrk print a line of its results that is easy to read.
//
//go:embed conf/wrk.lua
var wrkReport []byte

var wrkNeeds = []need{{"wrk", "wrk"}}

// load is something that sends requests until it is stopped.
type load interface {
	// stop ends it and tells how long its requests took.
	stop() (latencies, error)
}

// wrk is a running wrk.
type wrk struct {
	cmd *exec.Cmd
	out bytes.Buffer
}

// startWrk lets wrk request the short text over some connections.
func (b *bench) startWrk(ctx context.Context, url string, connections int) (load, error) {
	script := filepath.Join(b.dir, "wrk.lua")
	if err := os.WriteFile(script, wrkReport, 0o600); err != nil { //nolint:gosec // our own file
		return nil, err
	}
	w := &wrk{}
	// One thread: it takes a fraction of what a contender takes for the same
	// requests. A signal ends it earlier.
	w.cmd = exec.CommandContext(ctx, "wrk", "-t1", "-c"+strconv.Itoa(connections), "-d1h", "--timeout=20s", //nolint:gosec // numbers and paths of our own
		"-s", script, url+"/")
	w.cmd.Stdout, w.cmd.Stderr = &w.out, &w.out
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *wrk) stop() (latencies, error) {
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		return latencies{}, fmt.Errorf("wrk: %w", err)
	}
	if err := w.cmd.Wait(); err != nil {
		return latencies{}, fmt.Errorf("wrk: %w: %s", err, w.out.String())
	}
	return parseWrk(w.out.String())
}

// parseWrk reads the line of the script.
func parseWrk(output string) (latencies, error) {
	_, line, ok := strings.Cut(output, "report:")
	if !ok {
		return latencies{}, fmt.Errorf("wrk has not reported: %s", output)
	}
	var p50, p99, p999, failures int64
	if _, err := fmt.Sscanf(line, " p50=%d p99=%d p99.9=%d failures=%d", &p50, &p99, &p999, &failures); err != nil {
		return latencies{}, fmt.Errorf("the report of wrk: %w: %s", err, output)
	}
	if failures > 0 {
		return latencies{}, fmt.Errorf("wrk: %d failures: %s", failures, output)
	}
	return latencies{
		time.Duration(p50) * time.Microsecond, time.Duration(p99) * time.Microsecond, time.Duration(p999) * time.Microsecond,
	}, nil
}
