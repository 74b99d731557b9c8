package scripting

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestBreaker(t *testing.T) {
	for _, onError := range []string{OnErrorClose, OnErrorPass} {
		t.Run(onError, func(t *testing.T) {
			g := newGateway(t, anyBackend, `
				local calls = 0
				local function call()
					calls = calls + 1
					if calls <= 3 then error("call " .. calls) end
				end
				function M.on_connect() call() end
				function M.on_data(_, chunk) call() return tostring(chunk):upper() end`,
				func(s *Settings) { s.OnError, s.Breaker, s.BreakerPause = onError, 3, 300*time.Millisecond }).start()
			for deadline := time.Now().Add(time.Minute); !strings.Contains(g.log.String(), "the script is back"); {
				if _, _ = g.exchange("abc"); time.Now().After(deadline) { // refused, or let through, as on_error says
					t.Fatal("the script has not come back")
				}
			}
			if got, err := g.exchange("abc"); got != "ABC" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
			var alerts []string
			for _, a := range g.fw.Alerts() {
				alerts = append(alerts, fmt.Sprintf("%s on %d: %s", a.Filter, a.Worker, a.Text))
			}
			if want := []string{"test on 0: the script is left out for 300ms after 3 failures in a row", "test on 0: the script is back"}; !slices.Equal(alerts, want) {
				t.Errorf("alerts %q, want %q", alerts, want)
			}
			g.stop()
			log := g.log.String()
			for _, want := range []string{"call 3", "the script keeps failing and is left out for a while"} {
				if !strings.Contains(log, want) {
					t.Errorf("the log lacks %q", want)
				}
			}
			if strings.Contains(log, "call 4") {
				t.Error("it failed after the third call")
			}
		})
	}
}

// TestBreakerStates takes one through its states, by a clock of its own.
func TestBreakerStates(t *testing.T) {
	b := newBench(t, anyBackend, func(s *Settings) { s.Breaker, s.BreakerPause = 2, time.Hour })
	err := b.port.Workers()[0].Call(func() {
		s := b.state
		admits := func(want bool, at time.Duration, when string) {
			t.Helper()
			if got := s.breaker.admits(s.worker.Now() + at); got != want {
				t.Errorf("%s: admits %v", when, got)
			}
		}
		s.stumbled()
		s.succeeded()
		s.stumbled()
		admits(true, 0, "failures that are not in a row")
		s.stumbled()
		admits(false, 0, "two in a row")
		s.stumbled() // a handler that was called before
		s.succeeded()
		admits(false, 59*time.Minute, "before the end of the pause")
		admits(true, time.Hour, "after the pause")
		admits(false, time.Hour, "while one tries")
		s.stumbled()
		admits(false, 59*time.Minute, "after it failed")
		admits(true, time.Hour+time.Minute, "after the next pause")
		s.succeeded()
		admits(true, 0, "after it succeeded")
		s.stumbled()
		admits(true, 0, "one failure since")
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestBreakerIsMeasured sees that the metrics tell of a script that is left out, whose
// handlers are not called meanwhile.
func TestBreakerIsMeasured(t *testing.T) {
	g := newGateway(t, anyBackend, `function M.on_connect() error("never") end`,
		func(s *Settings) { s.Breaker, s.BreakerPause = 3, time.Hour }).start()
	for range 5 {
		if got, _ := g.exchange("x"); got != "" {
			t.Errorf("got %q of a script that fails", got)
		}
	}
	eventually(t, "the metrics tell", func() string {
		return differences(g.fw.Measure(t.Context()), map[string]float64{
			"fwx_lua_left_out filter=test": 1, "fwx_script_errors_total filter=test handler=on_connect": 3,
			"fwx_connections_ended_total listener=web outcome=fail": 5,
		})
	})
}
