//go:build linux

package main

import (
	"strings"
	"testing"
	"time"
)

func TestWithoutFio(t *testing.T) {
	t.Setenv("PATH", "")
	s := settings{backend: "auto", dir: t.TempDir(), size: 1 << 20, rounds: 1, time: 20 * time.Millisecond, depths: []int{1, 8}, direct: []bool{false}}
	var out strings.Builder
	if err := run(t.Context(), &out, s); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "fio is not installed") || strings.Count(out.String(), "cached") != 2 {
		t.Errorf("it says:\n%s", out.String())
	}
}
