package metrics

import (
	"maps"
	"slices"
	"strings"
)

// Family is what the metrics of one name have come to.
type Family struct {
	Name, Help string
	Kind       Kind
	Samples    []Sample
}

// Sample is what one series has come to.
type Sample struct {
	Labels       []Label
	Value        float64
	Distribution *Distribution // of a histogram, which has no Value
}

// Gather returns what there is, ordered by name and labels.
func (r *Registry) Gather() []Family {
	r.mu.Lock()
	defer r.mu.Unlock()
	families := make([]Family, 0, len(r.families))
	for name, f := range r.families {
		family := Family{Name: name, Help: f.help, Kind: f.kind}
		for _, key := range slices.Sorted(maps.Keys(f.series)) {
			family.Samples = append(family.Samples, f.series[key].sample())
		}
		families = append(families, family)
	}
	slices.SortFunc(families, func(a, b Family) int { return strings.Compare(a.Name, b.Name) })
	return families
}

func (s *series) sample() Sample {
	sample := Sample{Labels: s.labels}
	switch {
	case s.counter != nil:
		sample.Value = s.counter.Value()
	case s.gauge != nil:
		sample.Value = s.gauge.Value()
	default:
		sample.Distribution = s.histogram.Value()
	}
	return sample
}
