package metrics

import (
	"math"
	"slices"
	"sync/atomic"
)

// number is a float64 that one goroutine changes and others read.
type number struct{ bits atomic.Uint64 }

func (n *number) get() float64 { return math.Float64frombits(n.bits.Load()) }

// add may be called by one goroutine at a time only.
func (n *number) add(v float64) { n.bits.Store(math.Float64bits(n.get() + v)) }

// cell is the part of a counter that belongs to one worker, on a cache line of its own.
type cell struct {
	number
	_ [56]byte
}

// Counter is a number that only grows.
type Counter struct{ cells []cell }

// Add adds to the counter, on the worker of that index. What is not positive is not added.
func (c *Counter) Add(worker int, n float64) {
	if n > 0 && !math.IsInf(n, 1) {
		c.cells[worker].add(n)
	}
}

// Value returns the sum of all workers.
func (c *Counter) Value() (sum float64) {
	for i := range c.cells {
		sum += c.cells[i].get()
	}
	return sum
}

// Gauge is a number that rises and falls.
type Gauge struct{ number }

// Set sets the gauge.
func (g *Gauge) Set(v float64) { g.bits.Store(math.Float64bits(v)) }

// Add adds to the gauge, on any goroutine.
func (g *Gauge) Add(v float64) {
	for {
		old := g.bits.Load()
		if g.bits.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v)) {
			return
		}
	}
}

// Value returns the gauge.
func (g *Gauge) Value() float64 { return g.get() }

// DefaultBounds suit durations in seconds.
var DefaultBounds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// Histogram counts values by their size.
type Histogram struct {
	bounds []float64
	parts  []part // by worker
}

// part is what one worker has counted.
type part struct {
	counts []atomic.Uint64 // by bucket; the last one is for what is beyond all bounds
	sum    number
	_      [32]byte
}

func newHistogram(workers int, bounds []float64) *Histogram {
	h := &Histogram{bounds: bounds, parts: make([]part, workers)}
	for i := range h.parts {
		h.parts[i].counts = make([]atomic.Uint64, len(bounds)+1)
	}
	return h
}

// Observe counts a value, on the worker of that index. NaN is not counted.
func (h *Histogram) Observe(worker int, v float64) {
	if math.IsNaN(v) {
		return
	}
	p := &h.parts[worker]
	bucket, _ := slices.BinarySearch(h.bounds, v)
	p.counts[bucket].Store(p.counts[bucket].Load() + 1)
	p.sum.add(v)
}

// Distribution is what a histogram has counted.
type Distribution struct {
	Bounds []float64 // upper bounds of the buckets
	Counts []uint64  // of values up to each bound, those up to the ones before included
	Count  uint64    // of all values
	Sum    float64   // of all values
}

// Value returns the sum of all workers.
func (h *Histogram) Value() *Distribution {
	d := &Distribution{Bounds: h.bounds, Counts: make([]uint64, len(h.bounds))}
	for i := range h.parts {
		p := &h.parts[i]
		d.Sum += p.sum.get()
		for bucket := range p.counts {
			n := p.counts[bucket].Load()
			d.Count += n
			if bucket < len(d.Counts) {
				d.Counts[bucket] += n
			}
		}
	}
	for i := 1; i < len(d.Counts); i++ {
		d.Counts[i] += d.Counts[i-1]
	}
	return d
}
