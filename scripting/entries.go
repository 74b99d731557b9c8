package scripting

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"
)

// entrySet is what the entries of a list come to. It is not changed any more.
type entrySet interface {
	contains(value string) bool
	size() int
}

// listKind is a kind of list: what an entry is, and how a set is made of them.
type listKind struct {
	comments bool // they may stand behind an entry
	entry    func(text string) (string, error)
	set      func(entries []string) entrySet
}

const (
	kindCIDR   = "cidr"
	kindHost   = "host"
	kindExact  = "exact"
	kindPrefix = "prefix"
)

var listKinds = map[string]listKind{
	kindCIDR:   {true, cidrEntry, newNetworks},
	kindHost:   {true, hostEntry, newHosts},
	kindExact:  {false, anyEntry, newWords},
	kindPrefix: {false, anyEntry, newPrefixes},
}

// badLine is a line of a list that is no entry.
type badLine struct {
	number int
	err    error
}

// parseEntries reads the lines of a list: its entries, and what is wrong.
func parseEntries(kind listKind, text string) (set entrySet, bad []badLine) {
	var entries []string
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if kind.comments {
			line, _, _ = strings.Cut(line, "#")
			line = strings.TrimSpace(line)
		}
		if line == "" || line[0] == '#' {
			continue
		}
		entry, err := kind.entry(line)
		if err != nil {
			bad = append(bad, badLine{number, err})
			continue
		}
		entries = append(entries, entry)
	}
	slices.Sort(entries)
	return kind.set(slices.Compact(entries)), bad
}

// networks is the set of the kind "cidr".
type networks struct{ addrSet }

func cidrEntry(text string) (string, error) {
	if _, _, err := parsePrefix(text); err != nil {
		return "", fmt.Errorf("%q is not an IP address or prefix", text)
	}
	return text, nil
}

func newNetworks(entries []string) entrySet {
	prefixes := make([]netip.Prefix, 0, len(entries))
	for _, e := range entries {
		if p, _, err := parsePrefix(e); err == nil { // it has been looked at
			prefixes = append(prefixes, p)
		}
	}
	return networks{newAddrSet(prefixes)}
}

func (n networks) contains(value string) bool {
	a, err := netip.ParseAddr(value)
	return err == nil && n.addrSet.contains(a.Unmap().WithZone(""))
}

func (n networks) size() int { return len(n.addrSet) }

// hosts is the set of the kind "host".
type hosts struct {
	names, beneath map[string]struct{}
	entries        int
}

const maxHostName = 253

var errHost = errors.New(`a name such as "example.com", ".example.com" or "*.example.com" expected, in its ASCII form`)

func hostEntry(text string) (string, error) {
	text = canonicalHost(text)
	name := strings.TrimPrefix(strings.TrimPrefix(text, "*"), ".")
	wild := len(text) - len(name)
	if wild == 1 && text[0] == '*' || len(name) > maxHostName {
		return "", errHost
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", errHost
		}
	}
	return text, nil
}

// canonicalHost returns a name in lower case, without the dot of the root.
func canonicalHost(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

func newHosts(entries []string) entrySet {
	h := hosts{make(map[string]struct{}), make(map[string]struct{}), len(entries)}
	for _, e := range entries {
		name := strings.TrimPrefix(strings.TrimPrefix(e, "*"), ".")
		if e[0] != '*' {
			h.names[name] = struct{}{}
		}
		if e != name {
			h.beneath[name] = struct{}{}
		}
	}
	return h
}

func (h hosts) contains(value string) bool {
	if len(value) > maxHostName+1 { // with the dot of the root
		return false
	}
	name := canonicalHost(value)
	if _, ok := h.names[name]; ok {
		return true
	}
	for {
		_, above, found := strings.Cut(name, ".")
		if !found {
			return false
		}
		if _, ok := h.beneath[above]; ok {
			return true
		}
		name = above
	}
}

func (h hosts) size() int { return h.entries }

// words is the set of the kind "exact".
type words map[string]struct{}

func anyEntry(text string) (string, error) { return text, nil }

func newWords(entries []string) entrySet {
	w := make(words, len(entries))
	for _, e := range entries {
		w[e] = struct{}{}
	}
	return w
}

func (w words) contains(value string) bool {
	_, ok := w[value]
	return ok
}

func (w words) size() int { return len(w) }

// prefixes is the set of the kind "prefix": in order, none the beginning of another.
type prefixes []string

func newPrefixes(entries []string) entrySet {
	var p prefixes
	for _, e := range entries { // they are in order
		if len(p) == 0 || !strings.HasPrefix(e, p[len(p)-1]) {
			p = append(p, e)
		}
	}
	return p
}

// contains reports whether an entry is the beginning of a value. Whatever is between
// that entry and the value in order would begin with the entry too, so it can only be
// the last one that is not behind the value.
func (p prefixes) contains(value string) bool {
	i := sort.Search(len(p), func(i int) bool { return p[i] > value })
	return i > 0 && strings.HasPrefix(value, p[i-1])
}

func (p prefixes) size() int { return len(p) }
