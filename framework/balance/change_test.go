package balance

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestNames has the addresses of a name change.
func TestNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		d := &directory{}
		d.set(20*time.Second, nil, 2, 1, 2)
		u := New(Config{Name: "u", SlowStart: time.Minute}, []Target{{Text: "app.example:80", Host: "app.example", Port: 80, Weight: 1}}, slog.New(slog.NewTextHandler(r, nil)))
		u.lookup = d.lookup
		must(t, u.Resolve(t.Context()))
		must(t, u.Begin(r.home, nil))
		defer u.Retire()
		is := func(want string) {
			t.Helper()
			synctest.Wait()
			var states strings.Builder
			for _, i := range u.Infos() {
				fmt.Fprintf(&states, "%s=%s ", i.Address, i.State)
			}
			if got := states.String(); got != want {
				t.Errorf("after %v: %s, not %s", r.home.Now(), got, want)
			}
		}
		is("10.0.0.1:80=up 10.0.0.2:80=up ")

		// Addresses in another order are the same ones, and are asked for by their life.
		d.set(20*time.Second, nil, 1, 2)
		time.Sleep(61 * time.Second)
		is("10.0.0.1:80=up 10.0.0.2:80=up ")
		if n := d.set(20*time.Second, nil, 2, 3); n != 3 {
			t.Errorf("asked %d times in a minute", n)
		}
		r.saidTimes(0, "server joined")

		// One goes and one comes, which begins slowly. What is open at the former goes on.
		held := serverAt(t, u, 1)
		for number(held) != choose(t, u, 0) {
			serverAt(t, u, 2).Release()
		}
		time.Sleep(20 * time.Second)
		is("10.0.0.2:80=up 10.0.0.3:80=up 10.0.0.1:80=gone ")
		r.saidTimes(1, "server joined")
		r.saidTimes(1, "server gone")
		turns := map[int]int{}
		for range 110 {
			turns[choose(t, u, 0)]++
		}
		if turns[1] != 0 || turns[3] == 0 || turns[3] > turns[2]/3 {
			t.Errorf("turns %v", turns)
		}
		held.Release()
		is("10.0.0.2:80=up 10.0.0.3:80=up ")

		// A look-up that fails changes nothing, and is said once.
		d.set(0, errNoDNS)
		time.Sleep(2 * time.Minute)
		is("10.0.0.2:80=up 10.0.0.3:80=up ")
		r.saidTimes(1, "a name cannot be looked up")
		if n := d.set(0, nil, 2, 3); n < 10 || n > 12 {
			t.Errorf("asked %d times in two minutes of failures", n)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		r.saidTimes(1, "a name can be looked up again")

		// A life that nobody knows, and one of nothing.
		d.set(0, nil, 2, 3)
		time.Sleep(5 * time.Minute)
		if n := d.set(1, nil, 2, 3); n != 10 {
			t.Errorf("asked %d times in five minutes", n)
		}
		time.Sleep(time.Minute)
		if n := d.set(1, nil, 2, 3); n < 6 || n > 12 {
			t.Errorf("asked %d times in a minute", n)
		}
	})
}

// TestNoName sees that a name that cannot be looked up at the start is an error.
func TestNoName(t *testing.T) {
	d := &directory{err: errNoDNS}
	u := New(Config{Name: "u"}, []Target{{Text: "a:80", Host: "a", Port: 80, Weight: 1}}, slog.New(slog.DiscardHandler))
	u.lookup = d.lookup
	if err := u.Resolve(t.Context()); !errors.Is(err, errNoDNS) || err.Error() != `upstream "u": server "a:80": no DNS server answers` {
		t.Error(err)
	}
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		u := r.begin(Config{}, targets(1, 1), nil)
		for range 2 { // a second time it changes nothing
			infos, err := u.Drain(at(1).String(), true)
			if err != nil || len(infos) != 1 || infos[0].State != "drained" || infos[0].Address != at(1).String() {
				t.Errorf("%+v, %v", infos, err)
			}
		}
		for range 3 {
			if n := choose(t, u, 0); n != 2 {
				t.Errorf("server %d was chosen", n)
			}
		}
		r.saidTimes(1, "server drained by the operator")
		if _, err := u.Drain("10.0.0.9:80", true); !errors.Is(err, ErrUnknownServer) {
			t.Error(err)
		}
		if _, err := u.Drain(at(2).String(), true); err != nil {
			t.Error(err)
		}
		if _, err := u.Choose(0, nil); !errors.Is(err, ErrNoServer) {
			t.Error(err)
		}
		if infos, err := u.Drain(at(1).String(), false); err != nil || infos[0].State != "up" {
			t.Error(infos, err)
		}
		if n := choose(t, u, 0); n != 1 {
			t.Errorf("server %d was chosen", n)
		}
	})
}

// TestReplaced sees that a changed configuration takes over its servers as they are.
func TestReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.serve(1, "")
		r.serve(3, "")
		checks := &CheckConfig{Kind: CheckTCP, Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 1}
		old := r.begin(Config{Check: checks}, targets(1, 1, 1, 1), nil)
		if _, err := old.Drain(at(3).String(), true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if got := states(old); got != "up down drained down" {
			t.Error(got)
		}
		if n := choose(t, old, 0); n != 1 {
			t.Errorf("server %d", n)
		}
		now := r.begin(Config{Check: checks, MaxConnections: 1}, targets(1, 1, 1), old)
		synctest.Wait()
		if got := states(now); got != "up down drained" {
			t.Error(got)
		}
		if _, err := now.Choose(0, nil); !errors.Is(err, ErrFull) {
			t.Errorf("%v, though the connection of the old one is still there", err)
		}

		// What the new one is told holds for the old one, too.
		if _, err := now.Drain(at(1).String(), true); err != nil {
			t.Fatal(err)
		}
		if _, err := old.Choose(0, nil); !errors.Is(err, ErrNoServer) {
			t.Error(err)
		}

		// Without checks nobody is down.
		last := r.begin(Config{}, targets(1, 1, 1), now)
		if got := states(last); got != "drained up drained" {
			t.Error(got)
		}
		r.saidTimes(0, "server joined")
		r.saidTimes(1, "server gone")

		more := r.begin(Config{}, targets(1, 1, 1, 1), last)
		if got := states(more); got != "drained up drained up" {
			t.Error(got)
		}
		r.saidTimes(1, "server joined")
	})
}

func TestSame(t *testing.T) {
	c := Config{Name: "u", Check: &CheckConfig{Path: "/"}, Eject: &EjectConfig{Failures: 1}}
	u := New(c, targets(1, 1), slog.New(slog.DiscardHandler))
	again := c
	again.Check, again.Eject = &CheckConfig{Path: "/"}, &EjectConfig{Failures: 1}
	if !u.Same(again, targets(1, 1)) {
		t.Error("the same is not")
	}
	again.Check.Path = "/x"
	if u.Same(again, targets(1, 1)) || u.Same(c, targets(1, 2)) || u.Same(c, targets(1)) {
		t.Error("what is different is the same")
	}
}
