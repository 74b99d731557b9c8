package main

import (
	"os"
	"strconv"
	"strings"
)

// memory returns the most memory that the program has had resident, in bytes.
func (g *gateway) memory() int {
	return g.status("VmHWM") << 10
}

func (g *gateway) status(key string) int {
	g.tb.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(g.process.Process.Pid) + "/status")
	if err != nil {
		g.tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n
		}
	}
	g.tb.Fatalf("no %s in /proc/PID/status", key)
	return 0
}

// descriptors returns how many descriptors the program has open.
func (g *gateway) descriptors() int {
	entries, err := os.ReadDir("/proc/" + strconv.Itoa(g.process.Process.Pid) + "/fd")
	if err != nil {
		g.tb.Fatal(err)
	}
	return len(entries)
}
