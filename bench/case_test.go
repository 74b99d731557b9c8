//go:build linux

package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fwx/framework/fwxtest"
)

// TestMain lets the test binary be the contenders in Go, as the program is.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == hostCommand {
		runHost(os.Args[2])
		return
	}
	fwxtest.VerifyMain(m)
}

func TestPick(t *testing.T) {
	cases := []Case{
		{Name: "small-1", Entries: []Entry{{Name: "haproxy-tcp"}, {Name: "fwx-uring"}, {Name: "fwx-epoll"}}},
		{Name: "small-64", Entries: []Entry{{Name: "haproxy-tcp"}, {Name: "fwx-uring"}}},
		{Name: "file-1", Entries: []Entry{{Name: "fio"}}},
	}
	for _, test := range []struct{ only, want, mistake string }{
		{"", "small-1: haproxy-tcp fwx-uring fwx-epoll; small-64: haproxy-tcp fwx-uring; file-1: fio", ""},
		{"small-*", "small-1: haproxy-tcp fwx-uring fwx-epoll; small-64: haproxy-tcp fwx-uring", ""},
		{"fwx-*", "small-1: fwx-uring fwx-epoll; small-64: fwx-uring", ""},
		{"small-64,file-1,fwx-uring,fio", "small-64: fwx-uring; file-1: fio", ""},
		{"small-2", "", "-only small-2: no case or contender"},
		{"[", "", "-only [: syntax error"},
		{"file-1,fwx-uring", "", "none of these contenders"},
	} {
		var patterns []string
		if test.only != "" {
			patterns = strings.Split(test.only, ",")
		}
		picked, err := pick(cases, patterns)
		var parts []string
		for _, c := range picked {
			names := []string{c.Name + ":"}
			for _, e := range c.Entries {
				names = append(names, e.Name)
			}
			parts = append(parts, strings.Join(names, " "))
		}
		if diff := cmp.Diff(test.want, strings.Join(parts, "; ")); diff != "" {
			t.Errorf("%q: %s", test.only, diff)
		}
		if (err == nil) != (test.mistake == "") || err != nil && !strings.Contains(err.Error(), test.mistake) {
			t.Errorf("%q: %v", test.only, err)
		}
	}
}

// TestBaselines looks for the contenders that ratios are to, which must do what those do
// that are compared with them.
func TestBaselines(t *testing.T) {
	lua := func(name string) bool { return strings.HasSuffix(name, "-lua") }
	names := make(map[string]bool)
	for _, c := range allCases(&bench{}) {
		if names[c.Name] {
			t.Errorf("there are two cases %s", c.Name)
		}
		names[c.Name] = true
		if c.Baseline != "" && !slices.ContainsFunc(c.Entries, func(e Entry) bool { return e.Name == c.Baseline }) {
			t.Errorf("%s has no %s", c.Name, c.Baseline)
		}
		for _, e := range c.Entries {
			if strings.HasPrefix(c.Name, "http") && lua(e.Name) != lua(c.Baseline) {
				t.Errorf("%s compares %s with %s", c.Name, e.Name, c.Baseline)
			}
		}
	}
	for _, name := range []string{"http", "http-lua"} {
		if !names[name] {
			t.Errorf("there is no case %s", name)
		}
	}
}

// TestMeasureInTurn measures entries one of which fails and one of which is not there.
func TestMeasureInTurn(t *testing.T) {
	var order []string
	entry := func(name string, missing, failure error) Entry {
		return Entry{name, func() error { return missing }, func(context.Context) (Sample, error) {
			order = append(order, name)
			return Sample{Reads: float64(len(order))}, failure
		}}
	}
	b := &bench{settings: settings{rounds: 3}}
	c := Case{Name: "turns", Figures: []Figure{Reads}, Baseline: "a", Entries: []Entry{
		entry("a", nil, nil), entry("bad", nil, errors.New("broken")), entry("c", nil, nil), entry("absent", missingError{need{"x", "y"}}, nil),
	}}
	t.Setenv("FWX_REQUIRE", "")
	result, complete := b.measure(t.Context(), c)
	if want := "a bad c a c a c"; strings.Join(order, " ") != want {
		t.Errorf("the order is %v, want %s", order, want)
	}
	if complete || len(result.Rows) != 2 || len(result.NotRun) != 2 || result.Rows[1].Figures[Reads].Median != 5 || result.Rows[1].Figures[Reads].Ratio != 1.25 {
		t.Errorf("complete: %t, %+v", complete, result)
	}

	c.Entries = []Entry{c.Entries[0], c.Entries[3]}
	if _, complete := b.measure(t.Context(), c); !complete {
		t.Error("a missing program is a failure without FWX_REQUIRE")
	}
	t.Setenv("FWX_REQUIRE", "1")
	if _, complete := b.measure(t.Context(), c); complete {
		t.Error("with FWX_REQUIRE a missing program is none")
	}
}

func TestParseSettings(t *testing.T) {
	for args, mistake := range map[string]string{
		"-rounds 0":        "-rounds 0: at least 1",
		"-duration -1s":    "-duration -1s: more than 0",
		"small-64":         `unexpected argument "small-64"`,
		"-short -rounds 9": "",
	} {
		s, err := parseSettings(strings.Fields(args))
		if (err == nil) != (mistake == "") || err != nil && !strings.Contains(err.Error(), mistake) {
			t.Errorf("%s: %v", args, err)
		}
		if err == nil && s.rounds != 1 {
			t.Errorf("%s: %d rounds", args, s.rounds)
		}
	}
}
