//go:build !windows

package framework

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"
)

// reserved returns how much address space is reserved for receive buffers, in
// kB. A worker that has all its buffers back gives it back, too.
func reserved(t *testing.T) (sum int) {
	t.Helper()
	maps := must(os.Open("/proc/self/smaps"))(t)
	defer maps.Close()
	size := 0
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case fields[0] == "Size:":
			size = must(strconv.Atoi(fields[1]))(t)
		case fields[0] == "VmFlags:" && strings.Contains(lines.Text(), " nr") && size > 200<<10: // those of the C library are smaller
			sum += size
		}
	}
	return sum
}
