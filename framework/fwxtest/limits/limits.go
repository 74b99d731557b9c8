// Package limits makes the tables of docs/reference/limits.md of those that packages have, in
// their tests, of what they bound. A table is made of the values that the program uses, so the
// page cannot say anything else.
package limits

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Limit is something that is bounded.
type Limit struct {
	What    string
	Setting string // empty: it is fixed
	Bound   string // by default
	Beyond  string // what happens then
	Metric  string // that shows it; empty: none does
	Test    string
}

// Of returns a Limit, its fields in their order.
func Of(what, setting, bound, beyond, metric, test string) Limit {
	return Limit{what, setting, bound, beyond, metric, test}
}

// Size returns a number of bytes as a bound.
func Size(bytes int) string {
	for _, unit := range []struct {
		size int
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if bytes >= unit.size && bytes%unit.size == 0 {
			return fmt.Sprintf("%d %s", bytes/unit.size, unit.name)
		}
	}
	return Count(bytes) + " bytes"
}

// Count returns a number as a bound.
func Count(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Time returns a duration as a bound.
func Time(d time.Duration) string {
	switch {
	case d >= 2*time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d%time.Second == 0:
		return fmt.Sprintf("%d s", d/time.Second)
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

var (
	metricName   = regexp.MustCompile("`(fwx_[a-z_]+)")
	settingName  = regexp.MustCompile("`([a-z_.]+)`")
	testFunction = regexp.MustCompile(`(?m)^func (Test\w*)\(`)
)

// Compare sees that the table between the marks of its name on the page is that of rows, or
// with update makes it so, and that the settings, metrics and tests that the rows name exist.
// root is the path of the module.
func Compare(t *testing.T, root, name string, rows []Limit, update bool) {
	t.Helper()
	page := filepath.Join(root, "docs/reference/limits.md")
	text, err := os.ReadFile(page) //nolint:gosec // a file of this module
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- table: "+name+" -->\n", "<!-- end -->"
	before, rest, begins := strings.Cut(string(text), begin)
	_, after, ends := strings.Cut(rest, end)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table %q", page, name)
	}
	want := before + begin + table(rows) + end + after
	switch {
	case want == string(text):
	case !update:
		t.Errorf("%s is stale; -update makes it anew", page)
	default:
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil { //nolint:gosec // as it was
			t.Fatal(err)
		}
	}
	known := read(t, root)
	for _, row := range rows {
		known.check(t, row)
	}
}

func table(rows []Limit) string {
	var b strings.Builder
	b.WriteString("| what | setting | bound | beyond | metric | test |\n|---|---|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | `%s` |\n", r.What, r.Setting, r.Bound, r.Beyond, r.Metric, r.Test)
	}
	return b.String()
}

// module is what the module has of what rows name.
type module struct {
	tests    []string
	source   string // of the program
	settings string // the pages that describe them
}

func read(t *testing.T, root string) module {
	t.Helper()
	var m module
	var source strings.Builder
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path) //nolint:gosec // a file of this module
		if !strings.HasSuffix(path, "_test.go") {
			source.Write(text)
			return err
		}
		for _, match := range testFunction.FindAllSubmatch(text, -1) {
			m.tests = append(m.tests, string(match[1]))
		}
		return err
	})
	m.source = source.String()
	for _, page := range []string{"config.md", "http.md", "tls.md", "upstreams.md", "lua.md", "admin.md"} {
		text, readErr := os.ReadFile(filepath.Join(root, "docs/reference", page)) //nolint:gosec // a file of this module
		m.settings += string(text)
		if err == nil {
			err = readErr
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// check reports what a row lacks, or names and there is not.
func (m *module) check(t *testing.T, r Limit) {
	t.Helper()
	if r.What == "" || r.Bound == "" || r.Beyond == "" {
		t.Errorf("a row is not complete: %+v", r)
	}
	if !slices.Contains(m.tests, r.Test) {
		t.Errorf("%s: there is no test %q", r.What, r.Test)
	}
	for _, match := range metricName.FindAllStringSubmatch(r.Metric, -1) {
		if !strings.Contains(m.source, `"`+match[1]+`"`) {
			t.Errorf("%s: there is no metric %s", r.What, match[1])
		}
	}
	for _, match := range settingName.FindAllStringSubmatch(r.Setting, -1) {
		key := match[1][strings.LastIndexByte(match[1], '.')+1:]
		if !strings.Contains(m.settings, "`"+key+"`") {
			t.Errorf("%s: no page describes the setting %s", r.What, key)
		}
	}
}
