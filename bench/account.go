//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// usage is the CPU time that processes have used, of all their threads, those that
// have ended included.
type usage struct {
	total time.Duration
	// user and system divide total roughly: the kernel rounds both.
	user, system time.Duration
}

// since returns what was used after an earlier look, divided as the kernel has it.
func (u usage) since(before usage) usage {
	d := usage{total: u.total - before.total}
	user, system := u.user-before.user, u.system-before.system
	if sum := user + system; sum > 0 {
		d.user = time.Duration(float64(d.total) * float64(user) / float64(sum))
	}
	d.system = d.total - d.user
	return d
}

// groupUsage returns the CPU time of the processes of a group.
func groupUsage(group int) (usage, error) {
	var u usage
	err := eachProcess(group, func(p procStat) error {
		total, err := processClock(p.pid)
		if err != nil {
			return err
		}
		u.total += total
		u.user += p.user
		u.system += p.system
		return nil
	})
	return u, err
}

// groupMemory returns the bytes of memory that are resident in the processes of a group.
func groupMemory(group int) (int64, error) {
	var sum int64
	err := eachProcess(group, func(p procStat) error {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.pid))
		if err != nil {
			return err
		}
		resident, err := parseRollup(text)
		sum += resident
		return err
	})
	return sum, err
}

// eachProcess calls do for each process of a group. That there is none is an error.
func eachProcess(group int, do func(procStat) error) error {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return err
	}
	found := false
	for _, path := range paths {
		text, err := os.ReadFile(path) //nolint:gosec // what the pattern has found in /proc
		if err != nil {
			continue // It has ended.
		}
		p, err := parseStat(string(text))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if p.group != group {
			continue
		}
		switch err := do(p); {
		case err == nil:
			found = true
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ESRCH): // it has ended meanwhile
		default:
			return err
		}
	}
	if !found {
		return errors.New("the process has ended")
	}
	return nil
}

// procStat is what is wanted of /proc/PID/stat.
type procStat struct {
	pid, group   int
	user, system time.Duration
}

// tick is the unit of times in /proc/PID/stat, on all of Go's architectures.
const tick = 10 * time.Millisecond

func parseStat(text string) (procStat, error) {
	// The name, in parentheses, may hold anything, parentheses included.
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return procStat{}, fmt.Errorf("no name in %q", text)
	}
	fields := strings.Fields(text[end+1:]) // from the third one on
	if len(fields) < 13 {
		return procStat{}, fmt.Errorf("too few fields in %q", text)
	}
	var numbers [4]int
	for i, field := range []string{strings.TrimSpace(text[:open]), fields[2], fields[11], fields[12]} {
		n, err := strconv.Atoi(field)
		if err != nil {
			return procStat{}, err
		}
		numbers[i] = n
	}
	return procStat{numbers[0], numbers[1], time.Duration(numbers[2]) * tick, time.Duration(numbers[3]) * tick}, nil
}

// parseRollup returns the bytes resident according to /proc/PID/smaps_rollup.
func parseRollup(text []byte) (int64, error) { return parseBytes(text, "Rss:") }

// parseBytes returns the value of a line such as "Rss:  12 kB", which /proc has of memory.
func parseBytes(text []byte, name string) (int64, error) {
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte(name)); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(string(value)), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no line %s", name)
}

// peakMemory returns the most bytes of memory that have been resident in a process at a time.
func peakMemory(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) //nolint:gosec // a number makes no other path
	if err != nil {
		return 0, err
	}
	return parseBytes(text, "VmHWM:")
}

// processClock returns the CPU time of a process to the nanosecond, which
// /proc/PID/stat has in ticks only.
func processClock(pid int) (time.Duration, error) {
	const scheduler = 2 // CPUCLOCK_SCHED; the number of a process's clock is made of its pid
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|scheduler, &t); err != nil {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}
