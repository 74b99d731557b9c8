// Package strict decodes TOML into Go values and reports every mistake at once,
// each with its file, line and column.
//
// A decoder that skips what it does not know turns a slip of the pen into a
// setting that silently keeps its default, and one that stops at the first
// mistake makes a long file a long afternoon. This package does neither:
//
//	gateway.toml:2:1: service.worker: unknown key; did you mean "workers"?
//	gateway.toml:3:1: service.drain: a duration needs a unit: write "10s"
//	gateway.toml:5:1: listener.name: required key is missing
//
// # From text to values
//
// [Parse] reads a document and answers with its root [Table]. [Table.Decode]
// fills a struct from a table:
//
//	type Service struct {
//		Workers int           `toml:"workers"`
//		Drain   time.Duration `toml:"drain,required"`
//	}
//
// A field takes part when it has a toml tag; a field without one, or with the
// tag "-", is not touched. What a field holds before Decode is its default and
// stays when the key is absent. Where the key is present, a struct is filled
// field by field over its default, while a slice or a map is replaced as a
// whole. "required" asks for the key only where its table exists.
//
// A field may be
//
//   - a string, a bool, an integer or a float of any size, checked for range;
//   - a [time.Duration], written "10s", or a [Size], written "64KiB" or as a
//     number of bytes;
//   - a [time.Time], or anything that implements [encoding.TextUnmarshaler], as
//     net/netip's types do;
//   - a struct, or a map with string keys, from a table; any, which takes
//     whatever there is as [Table.Map] would give it;
//   - a slice or a pointer of these. A slice of structs is an array of tables;
//     a pointer is left nil when its key is absent;
//   - a Table.
//
// # Tables that somebody else decodes
//
// A field of type Table keeps its part of the document as it is. Whoever knows
// what belongs there decodes it later, and reports the unknown keys below it;
// []Table and map[string]Table work too, and let the elements of an array start
// from defaults of their own. When the key is absent the field gets an empty
// table, one for which [Table.IsZero] holds, which knows its place, so that a
// required key missing from it is still reported at the enclosing header.
//
// # Mistakes that only the program can see
//
// That a name is taken, or that a port is in use, no decoder knows. A struct may
// therefore have one field of type Table with the tag ".", which receives the
// very table the struct was decoded from. [Table.Errorf] makes an error at one of
// its keys, and [Errors] gathers such errors with those of Decode, in the order
// of the document:
//
//	var mistakes strict.Errors
//	mistakes.Add(root.Decode(&config))
//	for _, l := range config.Listeners {
//		if _, known := upstreams[l.Upstream]; !known {
//			mistakes.Add(l.Source.Errorf("upstream", "no upstream %q", l.Upstream))
//		}
//	}
//	return mistakes.Err()
//
// A [Checker] does this for the usual kinds of value, fills in defaults, and works the same
// for settings that a program has filled in, which have no table. [Equal] compares settings
// wherever they stand.
//
// # Places
//
// Lines and columns count from 1, columns in characters. A key is placed where
// its name begins, also inside a header; a table at the bracket of its header, if
// it has one; an element of an array where its value begins. The name of a key is spelt as in
// the document, "filter.allow.read" below [[filter]] and "servers[1]" in an array
// of values.
//
// The package github.com/BurntSushi/toml parses. As it tells nothing of where the
// keys are, a scanner of our own goes over the text once more and finds them; a
// fuzz test holds the two together.
package strict
