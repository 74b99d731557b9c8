package framework

import (
	"errors"
	"fmt"
	"slices"

	"fwx/framework/strict"
)

// Factory makes filters of one kind from their settings.
type Factory struct {
	// Kind is the name that the configuration uses.
	Kind string
	// Summary says in one line what the filters of this kind do.
	Summary string
	// Settings returns a pointer to a new settings struct, with the defaults
	// in place and `toml` tags; nil means that there are no settings.
	Settings func() any
	// New makes a filter from decoded settings. It checks them, and opens and starts nothing:
	// `fwx check` calls it too. Errors that concern a key are best made by
	// FilterConfig.Errorf.
	New func(config FilterConfig, settings any) (Filter, error)
}

// Registry is the set of filter kinds that a firewall knows.
type Registry struct{ factories map[string]Factory }

// NewRegistry returns a registry of the given kinds. It panics if two have the
// same name or one has none, which is a mistake in the program.
func NewRegistry(factories ...Factory) *Registry {
	r := &Registry{factories: make(map[string]Factory)}
	for _, f := range factories {
		if f.Kind == "" || f.New == nil {
			panic("framework: a filter factory wants a kind and a New function")
		}
		if _, ok := r.factories[f.Kind]; ok {
			panic(fmt.Sprintf("framework: two filter factories of kind %q", f.Kind))
		}
		r.factories[f.Kind] = f
	}
	return r
}

// Factories returns the kinds, ordered by name.
func (r *Registry) Factories() []Factory {
	if r == nil {
		return nil
	}
	list := make([]Factory, 0, len(r.factories))
	for _, f := range r.factories {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b Factory) int {
		if a.Kind < b.Kind {
			return -1
		}
		return 1
	})
	return list
}

// make makes a filter of the kind that a configuration names.
func (r *Registry) make(fc FilterConfig) (Filter, error) {
	if fc.Kind == "" {
		if given[string](part{table: fc.Table}, "kind") {
			return nil, fc.Errorf("kind", "neither a kind nor a filter")
		}
		return nil, nil // the missing key is reported elsewhere
	}
	var factory Factory
	if r != nil {
		factory = r.factories[fc.Kind]
	}
	if factory.New == nil {
		var known []string
		for _, f := range r.Factories() {
			known = append(known, f.Kind)
		}
		return nil, fc.Errorf("kind", "%v", &UnknownNameError{What: "kind of filter", Name: fc.Kind, Known: known})
	}
	var settings any = new(struct{})
	if factory.Settings != nil {
		settings = factory.Settings()
	}
	decoding := fc.Table.Without(filterKeys...).Decode(settings)
	instance, err := factory.New(fc, settings)
	if decoding != nil {
		return nil, withOthers(decoding, err)
	}
	if err == nil && instance == nil {
		err = fmt.Errorf("kind %q made no filter", fc.Kind)
	}
	if err != nil {
		var placed *strict.Error
		var several strict.Errors
		if errors.As(err, &placed) || errors.As(err, &several) {
			return nil, err
		}
		return nil, fmt.Errorf("filter %q: %w", fc.Name, err)
	}
	return instance, nil
}

// withOthers adds to the mistakes of decoding those that a factory has found at other keys.
// For the keys that could not be decoded, the factory has not seen the value.
func withOthers(decoding, found error) error {
	var mistakes strict.Errors
	mistakes.Add(decoding)
	decoded := slices.Clone(mistakes)
	var others strict.Errors
	if several, ok := errors.AsType[strict.Errors](found); ok {
		others = several
	} else if placed, ok := errors.AsType[*strict.Error](found); ok {
		others.Add(placed)
	}
	for _, other := range others {
		same := func(m *strict.Error) bool { return m.Key == other.Key }
		if other.Line > 0 && !slices.ContainsFunc(decoded, same) {
			mistakes.Add(other)
		}
	}
	return mistakes.Err()
}

// FilterConfig is a filter of a configuration: either a Kind with its settings, or a ready
// Filter.
type FilterConfig struct {
	// Name identifies the filter in listeners, logs and metrics.
	Name string
	// Kind names a factory of the registry.
	Kind string
	// Class is its place in the chain of data filters.
	Class PriorityClass
	// Table is the filter's part of the configuration file.
	Table strict.Table
	// Dir is the directory that relative paths in the settings start from.
	Dir string
	// Filter is the filter itself, if a host program has made it. Kind and Table are not used
	// then.
	Filter Filter
}

// Errorf returns an error that names the key of the filter's settings and its place in the
// file.
func (c FilterConfig) Errorf(key, format string, args ...any) error {
	if c.Table.IsZero() {
		return fmt.Errorf("filter %q: "+key+": "+format, append([]any{c.Name}, args...)...)
	}
	return c.Table.Errorf(key, format, args...)
}
