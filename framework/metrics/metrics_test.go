package metrics_test

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fwx/framework/metrics"
)

type label = metrics.Label

// must makes a helper of a call that may fail.
func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

// TestWorkers counts on several workers at once, while others look.
func TestWorkers(t *testing.T) {
	const workers, each = 4, 10_000
	r := metrics.NewRegistry(workers)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			c := must(r.Counter("c_total", "counted", label{"a", "1"}, label{"b", "2"}))(t)
			g := must(r.Gauge("g", "gauged"))(t)
			h := must(r.Histogram("h", "measured", []float64{1, 2}))(t)
			for i := range each {
				c.Add(w, 1)
				g.Add(1)
				h.Observe(w, float64(i%4))
				if i%1000 == 0 {
					r.Gather()
				}
			}
		})
	}
	all.Wait()
	const n = workers * each
	want := []metrics.Family{
		{Name: "c_total", Help: "counted", Kind: metrics.KindCounter, Samples: []metrics.Sample{{Labels: []label{{"a", "1"}, {"b", "2"}}, Value: n}}},
		{Name: "g", Help: "gauged", Kind: metrics.KindGauge, Samples: []metrics.Sample{{Value: n}}},
		{Name: "h", Help: "measured", Kind: metrics.KindHistogram, Samples: []metrics.Sample{{Distribution: &metrics.Distribution{
			Bounds: []float64{1, 2}, Counts: []uint64{n / 2, n / 4 * 3}, Count: n, Sum: n / 4 * 6,
		}}}},
	}
	if diff := cmp.Diff(want, r.Gather()); diff != "" {
		t.Error(diff)
	}
}

func TestValues(t *testing.T) {
	r := metrics.NewRegistry(1)
	c, g, h := must(r.Counter("c", ""))(t), must(r.Gauge("g", ""))(t), must(r.Histogram("h", "", nil))(t)
	for _, v := range []float64{1.5, 0, -1, math.NaN(), math.Inf(1), math.Inf(-1), 2} {
		c.Add(0, v)
	}
	if c.Value() != 3.5 {
		t.Error(c.Value())
	}
	g.Set(5)
	g.Add(-7.5)
	if g.Value() != -2.5 {
		t.Error(g.Value())
	}
	for _, v := range []float64{-1, .001, .0011, 10, 11, math.NaN()} {
		h.Observe(0, v)
	}
	d := h.Value()
	if d.Count != 5 || d.Counts[0] != 2 || d.Counts[1] != 3 || d.Counts[len(d.Counts)-1] != 4 {
		t.Errorf("%+v", d)
	}
}

// TestSame sees when two metrics are one.
func TestSame(t *testing.T) {
	r := metrics.NewRegistry(1)
	first := must(r.Counter("c", "", label{"a", "1"}, label{"b", "2"}))(t)
	if must(r.Counter("c", "", label{"b", "2"}, label{"a", "1"}))(t) != first {
		t.Error("the order of labels makes another metric")
	}
	if must(r.Counter("c", "", label{"a", "12"}, label{"b", ""}))(t) == must(r.Counter("c", "", label{"a", "1"}, label{"b", "2"}))(t) {
		t.Error("other values are the same metric")
	}
	for name, err := range map[string]error{
		"kind":         second(r.Gauge("c", "", label{"a", "1"}, label{"b", "2"})),
		"fewer labels": second(r.Counter("c", "", label{"a", "1"})),
		"other labels": second(r.Counter("c", "", label{"a", "1"}, label{"c", "2"})),
	} {
		if !errors.Is(err, metrics.ErrMismatch) {
			t.Error(name, err)
		}
	}
	must(r.Histogram("h", "", []float64{1}))(t)
	if _, err := r.Histogram("h", "", []float64{2}); !errors.Is(err, metrics.ErrMismatch) {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestRefused(t *testing.T) {
	r := metrics.NewRegistry(1)
	for _, name := range []string{"", "1a", "a-b", "a b", "ä", strings.Repeat("a", 129)} {
		if _, err := r.Counter(name, ""); err == nil {
			t.Errorf("name %q", name)
		}
	}
	for _, name := range []string{"", "1a", "a:b", "__a", "le"} {
		if _, err := r.Counter("c", "", label{name, ""}); err == nil {
			t.Errorf("label %q", name)
		}
	}
	if _, err := r.Counter("c", "", label{"a", ""}, label{"a", ""}); err == nil {
		t.Error("a label twice")
	}
	if _, err := r.Counter("c", "", make([]label, 11)...); err == nil {
		t.Error("too many labels")
	}
	for _, bounds := range [][]float64{{}, {2, 1}, {1, 1}, {math.NaN()}, {1, math.Inf(1)}, make([]float64, 65)} {
		if _, err := r.Histogram("h", "", bounds); err == nil {
			t.Error(bounds)
		}
	}
	if _, err := r.Counter("c", strings.Repeat("x", 1025)); err == nil {
		t.Error("a help text of any size")
	}
	if len(r.Gather()) != 0 {
		t.Error("what was refused is there")
	}
}

func TestTooManySeries(t *testing.T) {
	r := metrics.NewRegistry(1)
	var err error
	n := 0
	for ; err == nil && n < 20_000; n++ {
		_, err = r.Counter("c", "", label{"client", strconv.Itoa(n)})
	}
	if !errors.Is(err, metrics.ErrTooManySeries) || n != 10_001 {
		t.Error(n, err)
	}
	must(r.Counter("c", "", label{"client", "7"}))(t) // those that are there remain
}

func TestLabelValues(t *testing.T) {
	r := metrics.NewRegistry(1)
	must(r.Counter("c", "", label{"a", strings.Repeat("x", 300)}))(t)
	must(r.Counter("d", "", label{"a", "\xff"}))(t)
	families := r.Gather()
	if v := families[0].Samples[0].Labels[0].Value; len(v) != 256 {
		t.Error(len(v))
	}
	if v := families[1].Samples[0].Labels[0].Value; v != "\uFFFD" {
		t.Errorf("%q", v)
	}
}

func BenchmarkCounter(b *testing.B) {
	c := must(metrics.NewRegistry(1).Counter("c", ""))(b)
	b.ReportAllocs()
	for b.Loop() {
		c.Add(0, 1)
	}
}
