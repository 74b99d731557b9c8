package framework

import (
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
	return c.Store == other.Store && c.Kind == other.Kind && strict.Equal(c.Table, other.Table)
}

// makeStore makes the store of the configuration. It reports mistakes in the settings; the
// result is not used then.
func (c *Config) makeStore(check strict.Checker) store.Store {
	if c.Store.Store != nil {
		return c.Store.Store
	}
	part := check.Sub("store", c.Store.Table)
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
		part.Known(storeKindKey, "kind of store", name, known)
		return nil
	}
	settings := kinds[i].Settings()
	if !c.Store.Table.IsZero() {
		part.Add(c.Store.Table.Without(storeKindKey).Decode(settings))
	}
	return kinds[i].New(settings, c.Dir, c.Logger, part)
}
