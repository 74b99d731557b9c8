package framework

import (
	"errors"
	"reflect"
	"slices"

	"fwx/framework/store"
	"fwx/framework/strict"
)

// storeHeader has the key of [store] that is common to all kinds.
type storeHeader struct {
	Kind string `toml:"kind"`
}

const storeKindKey = "kind"

// read reads the settings from a file. The settings of the kind are decoded once the kinds are
// known.
func (c *StoreConfig) read(table strict.Table, mistakes *strict.Errors) {
	header := storeHeader{Kind: store.KindMemory}
	mistakes.Add(table.Only(storeKindKey).Decode(&header))
	c.Kind, c.Table = header.Kind, table
}

// same reports whether two stores have the same settings.
func (c StoreConfig) same(other StoreConfig) bool {
	return c.Store == other.Store && c.Kind == other.Kind && reflect.DeepEqual(c.Table.Map(), other.Table.Map())
}

// makeStore makes the store of the configuration; nil if the configuration has mistakes.
func (c *Config) makeStore(mistakes *strict.Errors) store.Store {
	if c.Store.Store != nil {
		return c.Store.Store
	}
	p := part{mistakes, c.Store.Table, "store"}
	kinds := append([]store.Kind{store.MemoryKind()}, c.StoreKinds...)
	name := c.Store.Kind
	if name == "" {
		name = store.KindMemory
	}
	i := slices.IndexFunc(kinds, func(k store.Kind) bool { return k.Name == name })
	if i < 0 {
		known := make([]string, len(kinds))
		for i, k := range kinds {
			known[i] = k.Name
		}
		p.errorf(storeKindKey, "%v", &UnknownNameError{What: "kind of store", Name: name, Known: known})
		return nil
	}
	settings := kinds[i].Settings()
	if !c.Store.Table.IsZero() {
		if err := c.Store.Table.Without(storeKindKey).Decode(settings); err != nil {
			mistakes.Add(err)
			return nil
		}
	}
	s, err := kinds[i].New(settings, c.Dir, c.Logger)
	if wrong, ok := errors.AsType[*store.KeyError](err); ok {
		p.errorf(wrong.Key, "%v", wrong.Err)
	} else {
		mistakes.Add(err)
	}
	return s
}
