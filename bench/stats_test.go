//go:build linux

package main

import (
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	thousand := make([]time.Duration, 1000)
	for i := range thousand {
		thousand[len(thousand)-1-i] = time.Duration(i + 1) // from the longest down
	}
	for _, test := range []struct {
		name string
		took []time.Duration
		want latencies
	}{
		{"none", nil, latencies{}},
		{"one", []time.Duration{7}, latencies{7, 7, 7}},
		{"two", []time.Duration{9, 3}, latencies{3, 9, 9}},
		{"a thousand", thousand, latencies{500, 990, 999}},
	} {
		if got := percentiles(test.took); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestSummarize(t *testing.T) {
	for _, test := range []struct {
		runs           []float64
		median, spread float64
	}{
		{[]float64{5}, 5, 0},
		{[]float64{3, 1}, 2, 0.5},
		{[]float64{30, 10, 20}, 20, 0.5},
		{[]float64{4, 1, 2, 3}, 2.5, 0.6},
		{[]float64{0, 0, 4}, 0, 0}, // a part of nothing
	} {
		s := summarize(test.runs)
		if s.Median != test.median || s.Spread != test.spread {
			t.Errorf("%v: median %v, spread %v; want %v, %v", test.runs, s.Median, s.Spread, test.median, test.spread)
		}
	}
	runs := []float64{3, 1, 2}
	if summarize(runs); runs[0] != 3 {
		t.Error("the order of the runs is lost")
	}
}
