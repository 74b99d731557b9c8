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

// make makes a filter of the kind that a configuration asks for. What is wrong with its
// settings is reported, or is the error.
func (r *Registry) make(fc FilterConfig, check strict.Checker) (Filter, error) {
	part := check.Sub(fc.part(), fc.Table)
	factory, ok := r.factory(fc.Kind)
	switch {
	case fc.Kind == "":
		part.Errorf("kind", "neither a kind nor a filter")
		return nil, nil
	case !ok:
		part.Known("kind", "kind of filter", fc.Kind, r.kinds())
		return nil, nil
	}
	var settings any = new(struct{})
	if factory.Settings != nil {
		settings = factory.Settings()
	}
	decoding := fc.Table.Without(filterKeys...).Decode(settings)
	part.Add(decoding)
	instance, err := factory.New(fc, settings)
	_, placed := errors.AsType[*strict.Error](err)
	switch {
	case placed:
		return nil, err
	case decoding != nil: // what is not right is the consequence of that
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("filter %q: %w", fc.Name, err)
	case instance == nil:
		return nil, fmt.Errorf("filter %q: kind %q made no filter", fc.Name, fc.Kind)
	}
	return instance, nil
}

func (r *Registry) factory(kind string) (f Factory, ok bool) {
	if r != nil {
		f, ok = r.factories[kind]
	}
	return f, ok
}

func (r *Registry) kinds() (kinds []string) {
	for _, f := range r.Factories() {
		kinds = append(kinds, f.Kind)
	}
	return kinds
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
	var mistakes strict.Errors
	c.Checker(&mistakes).Errorf(key, format, args...)
	return mistakes[0]
}

// Checker returns what a factory checks the filter's settings with. It adds to the mistakes,
// whose Err is then the error of Factory.New.
func (c FilterConfig) Checker(mistakes *strict.Errors) strict.Checker {
	return strict.NewChecker(mistakes).Sub(c.part(), c.Table)
}
