//go:build linux

package main

import (
	"math"
	"slices"
	"time"
)

// summary is what several runs come to.
type summary struct {
	Median float64   `json:"median"`
	Ratio  float64   `json:"ratio,omitempty"`  // of the median to the baseline's
	Spread float64   `json:"spread,omitempty"` // half of what lies between least and most, as a part of the median
	Runs   []float64 `json:"runs"`             // in the order in which they were made
}

func summarize(runs []float64) summary {
	s := summary{Median: median(runs), Runs: runs}
	if s.Median != 0 {
		s.Spread = (slices.Max(runs) - slices.Min(runs)) / 2 / s.Median
	}
	return s
}

// median returns the middle of at least one value, of two middles their mean.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// latencies are percentiles of how long requests took.
type latencies struct {
	p50, p99, p999 time.Duration
}

func percentiles(all []time.Duration) latencies {
	slices.Sort(all)
	return latencies{percentile(all, 50), percentile(all, 99), percentile(all, 99.9)}
}

// percentile returns the least of the sorted values that p percent of them do not
// exceed; 0 if there are none.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	const rounding = 1e-6 // 99.9 percent of 1000 are not a bit more than 999
	rank := int(math.Ceil(p*float64(len(sorted))/100 - rounding))
	return sorted[max(rank, 1)-1]
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
