//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// conditions are what figures depend on and the command knows.
type conditions struct {
	Time     time.Time `json:"time"`
	System   string    `json:"system"`
	CPUs     int       `json:"cpus"`
	Load     string    `json:"load"` // the load averages before the first run
	Versions []string  `json:"versions"`
	Rounds   int       `json:"rounds"`
	Duration string    `json:"duration"`
}

func currentConditions(ctx context.Context, s settings) conditions {
	c := conditions{
		Time: time.Now().Truncate(time.Second), CPUs: runtime.NumCPU(),
		Rounds: s.rounds, Duration: s.duration.String(),
		Versions: []string{runtime.Version()},
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		c.System = unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		c.Load = strings.Join(strings.Fields(string(text))[:3], " ")
	}
	for _, program := range []string{"haproxy", "nginx", "wrk", "fio"} {
		c.Versions = append(c.Versions, version(ctx, program))
	}
	return c
}

var number = regexp.MustCompile(`\d+\.\d+(\.\d+)?`)

// version asks a program for its version.
func version(ctx context.Context, program string) string {
	text, _ := exec.CommandContext(ctx, program, "-v").CombinedOutput() // without output it is not installed
	if v := number.FindString(string(text)); v != "" {
		return program + " " + v
	}
	return program + " -"
}

func (c conditions) String() string {
	return fmt.Sprintf("%s, %d CPUs, load average %s; %s; medians of %d runs of %s",
		c.System, c.CPUs, c.Load, strings.Join(c.Versions, ", "), c.Rounds, c.Duration)
}

// raiseLimit lets this program and those it starts open as many files as they may, or as
// many as any case needs.
func raiseLimit() error {
	const enough = 1 << 16
	if unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: enough, Max: enough}) == nil {
		return nil
	}
	var limit unix.Rlimit // only root may raise Max
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}
