package metrics

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Kind is the kind of a metric.
type Kind uint8

// The kinds of metric.
const (
	KindCounter Kind = iota
	KindGauge
	KindHistogram
)

// String names the kind.
func (k Kind) String() string {
	switch k {
	case KindCounter:
		return "counter"
	case KindGauge:
		return "gauge"
	case KindHistogram:
		return "histogram"
	}
	return "unknown"
}

// Label is a label of a series.
type Label struct{ Name, Value string }

// Registry holds metrics. It is safe for use by any goroutine.
type Registry struct {
	workers int

	mu       sync.Mutex
	families map[string]*family
	series   int
}

// family is the metrics of one name.
type family struct {
	kind   Kind
	help   string
	labels []string // their names, in order
	bounds []float64
	series map[string]*series
}

// series is a metric of a family: one of the three.
type series struct {
	labels    []Label
	counter   *Counter
	gauge     *Gauge
	histogram *Histogram
}

// The bounds of a registry.
const (
	maxSeries     = 10_000
	maxLabels     = 10
	maxLabelValue = 256
	maxHelp       = 1024
	maxBounds     = 64
)

var (
	// ErrTooManySeries answers what would be one series too many.
	ErrTooManySeries = fmt.Errorf("there are %d series of metrics already", maxSeries)
	// ErrMismatch answers a metric that exists in another form: as another kind,
	// with other labels, or with other bounds.
	ErrMismatch = errors.New("there is a metric of this name in another form")
)

// NewRegistry returns a registry for so many workers.
func NewRegistry(workers int) *Registry {
	return &Registry{workers: workers, families: make(map[string]*family)}
}

// Counter returns the counter of a name and labels.
func (r *Registry) Counter(name, help string, labels ...Label) (*Counter, error) {
	s, err := r.find(name, help, KindCounter, nil, labels)
	if err != nil {
		return nil, err
	}
	return s.counter, nil
}

// Gauge returns the gauge of a name and labels.
func (r *Registry) Gauge(name, help string, labels ...Label) (*Gauge, error) {
	s, err := r.find(name, help, KindGauge, nil, labels)
	if err != nil {
		return nil, err
	}
	return s.gauge, nil
}

// Histogram returns the histogram of a name and labels. bounds are the upper bounds of
// its buckets, in rising order; nil means DefaultBounds.
func (r *Registry) Histogram(name, help string, bounds []float64, labels ...Label) (*Histogram, error) {
	if bounds == nil {
		bounds = DefaultBounds
	}
	s, err := r.find(name, help, KindHistogram, bounds, labels)
	if err != nil {
		return nil, err
	}
	return s.histogram, nil
}

// find returns a series, which it makes if there is none.
func (r *Registry) find(name, help string, kind Kind, bounds []float64, labels []Label) (*series, error) {
	labels = slices.Clone(labels)
	slices.SortFunc(labels, func(a, b Label) int { return strings.Compare(a.Name, b.Name) })
	names, key, err := check(name, bounds, labels)
	if err == nil && len(help) > maxHelp {
		err = fmt.Errorf("a help text has at most %d bytes, not %d", maxHelp, len(help))
	}
	if err != nil {
		return nil, fmt.Errorf("metric %q: %w", name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.families[name]
	if f != nil && (f.kind != kind || !slices.Equal(f.labels, names) || !slices.Equal(f.bounds, bounds)) {
		return nil, fmt.Errorf("metric %q: %w: it is a %v with the labels %q", name, ErrMismatch, f.kind, f.labels)
	}
	if f != nil && f.series[key] != nil {
		return f.series[key], nil
	}
	if r.series >= maxSeries {
		return nil, fmt.Errorf("metric %q: %w", name, ErrTooManySeries)
	}
	if f == nil {
		name = strings.Clone(name) // all texts may be parts of larger ones
		f = &family{kind: kind, help: strings.Clone(help), labels: names, bounds: slices.Clone(bounds), series: make(map[string]*series)}
		r.families[name] = f
	}
	for i, l := range labels {
		labels[i] = Label{strings.Clone(l.Name), strings.Clone(l.Value)}
	}
	s := f.newSeries(r.workers, labels)
	f.series[key] = s
	r.series++
	return s, nil
}

func (f *family) newSeries(workers int, labels []Label) *series {
	s := &series{labels: labels}
	switch f.kind {
	case KindCounter:
		s.counter = &Counter{cells: make([]cell, workers)}
	case KindGauge:
		s.gauge = &Gauge{}
	case KindHistogram:
		s.histogram = newHistogram(workers, f.bounds)
	}
	return s
}

var (
	metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]{0,127}$`)
	labelName  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,127}$`)
)

// check looks at what a metric is asked for by. Labels are in order; their values are made
// what can be shown. It returns the names of the labels, and a key for their values.
func check(name string, bounds []float64, labels []Label) (names []string, key string, err error) {
	if !metricName.MatchString(name) {
		return nil, "", errors.New("a name has letters, digits, _ and :, and does not begin with a digit")
	}
	if len(labels) > maxLabels {
		return nil, "", fmt.Errorf("a metric has at most %d labels", maxLabels)
	}
	var b strings.Builder
	for i := range labels {
		l := &labels[i]
		if !labelName.MatchString(l.Name) || strings.HasPrefix(l.Name, "__") || l.Name == "le" {
			return nil, "", fmt.Errorf("a label cannot be called %q", l.Name)
		}
		if i > 0 && labels[i-1].Name == l.Name {
			return nil, "", fmt.Errorf("the label %q is there twice", l.Name)
		}
		l.Value = strings.ToValidUTF8(l.Value[:min(len(l.Value), maxLabelValue)], "\uFFFD")
		names = append(names, l.Name)
		fmt.Fprintf(&b, "%d:%s", len(l.Value), l.Value)
	}
	if !rising(bounds) {
		return nil, "", fmt.Errorf("bounds are 1 to %d finite numbers in rising order", maxBounds)
	}
	return names, b.String(), nil
}

// rising reports whether bounds can be those of buckets; nil is none.
func rising(bounds []float64) bool {
	for i, bound := range bounds {
		if math.IsNaN(bound) || math.IsInf(bound, 0) || i > 0 && bounds[i-1] >= bound {
			return false
		}
	}
	return len(bounds) <= maxBounds && (bounds == nil || len(bounds) > 0)
}
