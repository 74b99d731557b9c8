//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
)

// Case is one thing that is measured for several contenders.
type Case struct {
	Name     string
	About    string
	Figures  []Figure // the columns of its table
	Baseline string   // the entry that ratios are to, if there is one
	Entries  []Entry
}

// Entry is a contender in a case.
type Entry struct {
	Name string
	// Missing tells why it cannot be measured here, nil if it can.
	Missing func() error
	// Measure makes one run.
	Measure func(context.Context) (Sample, error)
}

// Figure is something that is measured; the text heads its column.
type Figure string

// The figures.
const (
	Requests    Figure = "requests/s"
	Connections Figure = "conns/s"
	P50         Figure = "p50 µs"
	P99         Figure = "p99 µs"
	P999        Figure = "p99.9 µs"
	CPU         Figure = "CPU µs"     // of one request or connection
	User        Figure = "user µs"    // of it
	System      Figure = "system µs"  // of it
	MiB         Figure = "MiB/s"      // one way
	CPUGiB      Figure = "CPU ms/GiB" // of moving a GiB from one side to the other
	UserGiB     Figure = "user ms"    // of it
	SystemGiB   Figure = "system ms"  // of it
	Memory      Figure = "KiB/conn"   // resident
	CalmRate    Figure = "calm req/s" // without stalled neighbours
	CalmP50     Figure = "calm p50"
	CalmP99     Figure = "calm p99"
	CalmP999    Figure = "calm p99.9"
	P99Growth   Figure = "p99/calm"
	CalmLongest Figure = "calm longest ms"
	Longest     Figure = "longest ms"
	LongestCPU  Figure = "longest CPU ms" // that the contender has used during a request
	Peak        Figure = "peak MiB"       // resident
	Stalled     Figure = "stalled/s"      // requests that waited for the file
	Reads       Figure = "reads/s"
)

// parts are the figures that only divide another one: they get neither ratio nor spread.
var parts = []Figure{User, System, UserGiB, SystemGiB, Stalled}

func (f Figure) isPart() bool { return slices.Contains(parts, f) }

// Sample is what one run has measured.
type Sample map[Figure]float64

// pick returns the cases and entries that the patterns name. Patterns that match no
// case leave all cases, patterns that match no entry all entries.
func pick(cases []Case, patterns []string) ([]Case, error) {
	var byCase, byEntry []string
	for _, pattern := range patterns {
		isCase, isEntry, err := find(cases, pattern)
		switch {
		case err != nil:
			return nil, fmt.Errorf("-only %s: %w", pattern, err)
		case !isCase && !isEntry:
			return nil, fmt.Errorf("-only %s: no case or contender has such a name; -list shows them", pattern)
		}
		if isCase {
			byCase = append(byCase, pattern)
		}
		if isEntry {
			byEntry = append(byEntry, pattern)
		}
	}
	var picked []Case
	for _, c := range cases {
		if len(byCase) > 0 && !matches(byCase, c.Name) {
			continue
		}
		if len(byEntry) > 0 {
			c.Entries = slices.DeleteFunc(slices.Clone(c.Entries), func(e Entry) bool { return !matches(byEntry, e.Name) })
		}
		if len(c.Entries) > 0 {
			picked = append(picked, c)
		}
	}
	if len(picked) == 0 {
		return nil, errors.New("-only: these cases have none of these contenders; -list shows what has")
	}
	return picked, nil
}

// find tells whether a pattern names a case, and whether it names an entry.
func find(cases []Case, pattern string) (isCase, isEntry bool, err error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return false, false, err
	}
	for _, c := range cases {
		isCase = isCase || matches([]string{pattern}, c.Name)
		for _, e := range c.Entries {
			isEntry = isEntry || matches([]string{pattern}, e.Name)
		}
	}
	return isCase, isEntry, nil
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		matched, err := path.Match(pattern, name)
		return err == nil && matched
	})
}

func listCases(out io.Writer, cases []Case) {
	for _, c := range cases {
		fmt.Fprintf(out, "%s: %s\n", c.Name, c.About)
		for _, e := range c.Entries {
			fmt.Fprintf(out, "    %s\n", e.Name)
		}
	}
}
