//go:build linux

package main

import (
	"os"
	"syscall"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const fields = " S 1 4711 4711 0 -1 4194560 100 0 0 0 250 1050 0 0 20 0 3 0 12345 1000 200"
	for _, test := range []struct {
		name, text string
		want       procStat
		bad        bool
	}{
		{"plain", "4712 (nginx)" + fields, procStat{4712, 4711, 2500 * time.Millisecond, 10500 * time.Millisecond}, false},
		{"a name like fields", "4712 (a) S 1 (b c)" + fields, procStat{4712, 4711, 2500 * time.Millisecond, 10500 * time.Millisecond}, false},
		{"no name", "4712" + fields, procStat{}, true},
		{"cut off", "4712 (nginx) S 1 4711", procStat{}, true},
		{"no number", "4712 (nginx) S 1 x 4711 0 -1 4194560 100 0 0 0 250 1050 0", procStat{}, true},
		{"empty", "", procStat{}, true},
	} {
		got, err := parseStat(test.text)
		if got != test.want || (err != nil) != test.bad {
			t.Errorf("%s: %v, %v", test.name, got, err)
		}
	}
}

func TestParseRollup(t *testing.T) {
	for _, test := range []struct {
		text string
		want int64
		bad  bool
	}{
		{"00400000-7ffd000 ---p 00000000 00:00 0    [rollup]\nRss:            20524 kB\nPss:   17 kB\n", 20524 << 10, false},
		{"Pss:   17 kB\n", 0, true},
		{"Rss:   many kB\n", 0, true},
		{"", 0, true},
	} {
		got, err := parseRollup([]byte(test.text))
		if got != test.want || (err != nil) != test.bad {
			t.Errorf("%q: %d, %v", test.text, got, err)
		}
	}
}

func TestUsageSince(t *testing.T) {
	before := usage{total: time.Second, user: 500 * time.Millisecond, system: 480 * time.Millisecond}
	for _, test := range []struct {
		name       string
		now        usage
		total, own time.Duration
	}{
		{"divided as the ticks are", usage{1400 * time.Millisecond, 600 * time.Millisecond, 780 * time.Millisecond}, 400 * time.Millisecond, 100 * time.Millisecond},
		{"less than a tick", usage{1004 * time.Millisecond, 500 * time.Millisecond, 480 * time.Millisecond}, 4 * time.Millisecond, 0},
		{"nothing", before, 0, 0},
	} {
		got := test.now.since(before)
		if got.total != test.total || got.user != test.own || got.system != test.total-test.own {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}

// TestAccountOfOwnGroup takes the kernel's account of this process, which has used some CPU.
func TestAccountOfOwnGroup(t *testing.T) {
	group := syscall.Getpgrp()
	first, err := groupUsage(group)
	if err != nil {
		t.Fatal(err)
	}
	for begun := first.total; first.total-begun < 2*time.Millisecond; { // which takes CPU
		if first, err = groupUsage(group); err != nil {
			t.Fatal(err)
		}
	}
	own, err := processClock(os.Getpid())
	if err != nil || own <= 0 || own > first.total+time.Minute {
		t.Errorf("the clock of this process: %v, %v; of its group %v", own, err, first.total)
	}
	if memory, err := groupMemory(group); err != nil || memory < 1<<20 {
		t.Errorf("memory %d, %v", memory, err)
	}
	if _, err := groupUsage(1 << 30); err == nil {
		t.Error("a group without processes has an account")
	}
}
