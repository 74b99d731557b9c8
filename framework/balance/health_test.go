package balance

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestJudge(t *testing.T) {
	for _, test := range []struct {
		checks, want string // a + is a good check, and a server that is up
	}{
		{"+", "+"},
		{"-", "-"}, // the first decides by itself
		{"+--", "+++"},
		{"+---", "+++-"},
		{"+--+--+--+", "++++++++++"}, // flapping, but never three in a row
		{"-+", "--"},
		{"-++", "--+"},
		{"-+-+-+-++", "--------+"},
		{"+---++--", "+++--+++"},
		{"+---++---", "+++--+++-"},
	} {
		var h health
		down := false
		var states strings.Builder
		for _, c := range test.checks {
			down = h.judge(c == '+', down, 2, 3)
			states.WriteString(map[bool]string{true: "-", false: "+"}[down])
		}
		if got := states.String(); got != test.want {
			t.Errorf("%s: %s, not %s", test.checks, got, test.want)
		}
	}
}

// TestChecks has a server die and come back, and then all of them.
func TestChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		one, two := r.serve(1, ""), r.serve(2, "")
		u := r.begin(Config{Check: &CheckConfig{Kind: CheckTCP, Interval: time.Second, Timeout: time.Second, Rise: 2, Fall: 3}}, targets(1, 1), nil)
		is := func(want string) {
			t.Helper()
			synctest.Wait()
			if got := states(u); got != want {
				t.Errorf("after %v: %s, not %s", r.home.Now(), got, want)
			}
		}
		time.Sleep(5 * time.Second)
		is("up up")
		one.close()
		time.Sleep(1500 * time.Millisecond) // one failure, or two
		is("up up")
		time.Sleep(2 * time.Second)
		is("down up")
		for range 4 {
			if n := choose(t, u, 0); n != 2 {
				t.Errorf("server %d was chosen", n)
			}
		}
		two.close()
		time.Sleep(4 * time.Second)
		is("down down")
		if _, err := u.Choose(0, nil); !errors.Is(err, ErrNoServer) {
			t.Error(err)
		}
		if i := u.Infos()[0]; i.Reason == "" || i.Checks == 0 || i.FailedChecks == 0 {
			t.Errorf("%+v", i)
		}
		one.open()
		two.open()
		time.Sleep(4 * time.Second)
		is("up up")
		r.saidTimes(2, "server down")
		r.saidTimes(2, "server up")

		before := one.accepted
		u.Retire()
		time.Sleep(time.Minute)
		synctest.Wait()
		if one.accepted != before {
			t.Error("a retired upstream checks its servers")
		}
	})
}

// TestFirstCheck sees that a server that is down from the beginning is so at once.
func TestFirstCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.serve(1, "")
		u := r.begin(Config{Check: &CheckConfig{Kind: CheckTCP, Interval: time.Minute, Timeout: time.Second, Rise: 9, Fall: 9}}, targets(1, 1), nil)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := states(u); got != "up down" {
			t.Error(got)
		}
	})
}

func TestHTTPCheck(t *testing.T) {
	for _, test := range []struct {
		reply  string
		status []int
		want   string
		reason string
	}{
		{"HTTP/1.1 200 OK\r\n\r\n", nil, "up", ""},
		{"HTTP/1.0 399\n\n", nil, "up", ""},
		{"HTTP/1.1 204 \r\n\r\n", []int{200, 204}, "up", ""},
		{"HTTP/1.1 200 OK\r\n\r\n", []int{204}, "down", "status 200"},
		{"HTTP/1.1 503 Busy\r\n\r\n", nil, "down", "status 503"},
		{"HTTP/2.0 200 OK\r\n\r\n", nil, "down", "the answer is not HTTP/1"},
		{"HTTP/1.1 2000 OK\r\n\r\n", nil, "down", "the answer is not HTTP/1"},
		{"220 mail.example ESMTP\r\n", nil, "down", "the answer is not HTTP/1"},
		{"HTTP/1.1 20", nil, "down", "the answer is not HTTP/1"},
		{"silence", nil, "down", "no answer within 1s"},
	} {
		t.Run(test.reply, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				f := r.serve(1, test.reply)
				f.silent = test.reply == "silence"
				u := r.begin(Config{Check: &CheckConfig{
					Kind: CheckHTTP, Path: "/healthz?deep", Host: "app.example", Status: test.status, Interval: time.Second, Timeout: time.Second, Rise: 2, Fall: 3,
				}}, targets(1), nil)
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if i := u.Infos()[0]; i.State != test.want || i.Reason != test.reason || i.Checks < 4 {
					t.Errorf("%+v", i)
				}
				if !strings.HasPrefix(f.request, "GET /healthz?deep HTTP/1.1\r\nHost: app.example\r\n") {
					t.Errorf("request %q", f.request)
				}
			})
		})
	}
}

// TestEject has connections fail: in a row, for a growing time, never too many servers.
func TestEject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		u := r.begin(Config{Eject: &EjectConfig{Failures: 3, Time: 10 * time.Second, MaxTime: 30 * time.Second, MaxShare: 50}}, targets(1, 1, 1, 1), nil)
		fail := func(n, times int) {
			for range times {
				serverAt(t, u, n).Report(syscall.ECONNREFUSED)
			}
			synctest.Wait()
		}
		is := func(want string) {
			t.Helper()
			synctest.Wait()
			if got := states(u); got != want {
				t.Errorf("after %v: %s, not %s", r.home.Now(), got, want)
			}
		}
		fail(1, 2)
		serverAt(t, u, 1).Report(nil)
		fail(1, 2)
		is("up up up up") // not in a row
		for _, err := range localErrors {
			serverAt(t, u, 1).Report(fmt.Errorf("connect: %w", err))
		}
		is("up up up up") // not its failures
		for _, out := range []time.Duration{10 * time.Second, 20 * time.Second, 30 * time.Second, 30 * time.Second} {
			fail(1, 3)
			is("ejected up up up")
			for range 8 {
				if n := choose(t, u, 0); n == 1 {
					t.Error("the ejected server was chosen")
				}
			}
			time.Sleep(out - time.Second)
			is("ejected up up up")
			time.Sleep(2 * time.Second)
			is("up up up up")
		}
		time.Sleep(time.Minute) // well for long enough
		fail(1, 3)
		fail(2, 3)
		fail(3, 9)
		is("ejected ejected up up") // the share
		time.Sleep(11 * time.Second)
		is("up up up up") // the times of the first begin anew
	})
}

// TestEjectLast sees that an ejection never leaves an upstream without servers.
func TestEjectLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		u := r.begin(Config{Eject: &EjectConfig{Failures: 1, Time: time.Hour, MaxTime: time.Hour, MaxShare: 100}}, targets(1, 1, 1), nil)
		for n := 1; n <= 3; n++ {
			serverAt(t, u, n).Report(syscall.ECONNREFUSED)
			synctest.Wait()
		}
		if got := states(u); got != "ejected ejected up" {
			t.Error(got)
		}
		if _, err := u.Drain(at(3).String(), true); err != nil {
			t.Fatal(err)
		}
		if got := states(u); got != "up up drained" {
			t.Error(got)
		}
		r.saidTimes(2, "server no longer ejected: no other is up")
	})
}

// TestSlowStart looks at the share of a server that comes back, step by step.
func TestSlowStart(t *testing.T) {
	for _, balance := range Balances() {
		t.Run(balance, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				u := r.begin(Config{Balance: balance, SlowStart: 100 * time.Second}, targets(1, 1), nil)
				share := func() float64 {
					const all = 2200
					n := 0
					for i := range all {
						if choose(t, u, Key(strconv.Itoa(i))) == 2 {
							n++
						}
					}
					for n := range 2 {
						serverAt(t, u, n+1).active.Store(0)
					}
					return float64(n) / float64(all-n)
				}
				about := func(want float64) {
					t.Helper()
					synctest.Wait()
					if got := share(); got < want*0.8 || got > want*1.25 {
						t.Errorf("after %v the share is %.3f, not about %.2f", r.home.Now(), got, want)
					}
				}
				about(1) // nothing warms up at the start
				for _, drained := range []bool{true, false} {
					if _, err := u.Drain(at(2).String(), drained); err != nil {
						t.Fatal(err)
					}
				}
				about(0.1)
				time.Sleep(26 * time.Second)
				about(0.25)
				time.Sleep(25 * time.Second)
				about(0.5)
				time.Sleep(55 * time.Second)
				about(1)
			})
		})
	}
}
