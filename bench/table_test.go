//go:build linux

package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	rows := func(entries ...string) (rows []Row) {
		for i, entry := range entries {
			f := float64(i + 1)
			rows = append(rows, Row{entry, summarizeAll([]Figure{Requests, CPU, User}, []Sample{
				{Requests: 41234 * f, CPU: 16.04 * f, User: 3 * f},
				{Requests: 40000 * f, CPU: 15.5 * f, User: 0},
				{Requests: 44000 * f, CPU: 17 * f, User: 4.123 * f},
			})})
		}
		return rows
	}
	figures := []Figure{Requests, CPU, User}
	for _, test := range []struct {
		file   string
		result Result
	}{
		{"ratios", Result{
			Case: "small-64", About: "short answers", Baseline: "haproxy-tcp", figures: figures,
			Rows:   rows("haproxy-tcp", "fwx-uring"),
			NotRun: []omission{{"nginx-lua", missingError{need{"nginx", "nginx"}}.Error()}},
		}},
		{"no baseline", Result{Case: "small-64", About: "short answers", Baseline: "haproxy-tcp", figures: figures, Rows: rows("fwx-uring")}},
		{"nothing", Result{Case: "small-64", About: "short answers", figures: figures, NotRun: []omission{{"go-copy", errors.New("it has ended").Error()}}}},
	} {
		t.Run(test.file, func(t *testing.T) {
			test.result.compare()
			want, err := os.ReadFile(filepath.Join("testdata", test.file+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), test.result.String()); diff != "" {
				t.Errorf("- wanted, + rendered:\n%s", diff)
			}
		})
	}
}

func TestNumber3(t *testing.T) {
	for v, want := range map[float64]string{0: "0.00", 9.994: "9.99", 16.04: "16.0", 99.96: "100.0", 123.4: "123", 41234.5: "41234", -16.04: "-16.0"} {
		if got := number3(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}
