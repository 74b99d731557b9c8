package scripting

import (
	"strings"
	"testing"

	"fwx/framework/metrics"
)

func TestMetrics(t *testing.T) {
	runSnippets(t, nil, []snippet{
		{"counter", `local c = fwx.metrics.counter("a_total") c:inc() c:inc(2.5) fwx.metrics.counter("a_total"):inc(0)`, "nil"},
		{"labels", `fwx.metrics.counter("b_total", {x = "y", n = 1, yes = true}, "Help."):inc()`, "nil"},
		{"gauge", `local g = fwx.metrics.gauge("g") g:set(5) g:inc() g:inc(-3)`, "nil"},
		{"histogram", `local h = fwx.metrics.histogram("h", nil, nil, {1, 2}) h:observe(1) h:observe(1.5) h:observe(3)`, "nil"},
		{"a counter that shrinks", `fwx.metrics.counter("a_total"):inc(-1)`, "!a counter only grows"},
		{"another kind", `fwx.metrics.gauge("a_total")`, "!in another form"},
		{"other labels", `fwx.metrics.counter("b_total", {x = "y"})`, "!in another form"},
		{"other bounds", `fwx.metrics.histogram("h")`, "!in another form"},
		{"reserved", `fwx.metrics.counter("fwx_connections_total")`, "!not for scripts"},
		{"reserved by a library", `fwx.metrics.gauge("go_goroutines")`, "!not for scripts"},
		{"a bad name", `fwx.metrics.counter("a-b")`, "!letters, digits"},
		{"a bad label", `fwx.metrics.counter("c", {["a-b"] = 1})`, `!a label cannot be called "a-b"`},
		{"a bad value", `fwx.metrics.counter("c", {a = {}})`, "!a label is a string, number or boolean, not a table"},
		{"a list of labels", `fwx.metrics.counter("c", {"a"})`, "!the name of a label is a string"},
		{"bad bounds", `fwx.metrics.histogram("i", nil, nil, {2, 1})`, "!in rising order"},
		{"bounds of text", `fwx.metrics.histogram("i", nil, nil, {"1"})`, "!a bound is a number, not a string"},
		{"no method", `fwx.metrics.counter("a_total"):add(1)`, `!counter has no method "add"`},
		{"a method of another", `fwx.metrics.gauge("g").set(fwx.metrics.counter("a_total"), 1)`, "!gauge expected, got an object"},
	})
}

// TestMetricsAreCounted looks at what scripts on several workers, which fail too,
// have counted.
func TestMetricsAreCounted(t *testing.T) {
	const connections = 20
	g := newGatewayOf(t, 2, anyBackend, `
		local seen = fwx.metrics.counter("seen_total", {what = "connection"}, "Seen.")
		function M.on_connect() seen:inc() end
		function M.on_close() error("not today") end`).start()
	for range connections {
		if got, err := g.exchange("four"); got != "four" || err != nil {
			t.Fatal(got, err)
		}
	}
	want := map[string]float64{
		"seen_total what=connection":                            connections,
		"fwx_script_errors_total filter=test handler=on_close":  connections,
		"fwx_connections_total listener=web":                    connections,
		"fwx_connections_ended_total listener=web outcome=pass": connections,
		"fwx_connections_ended_total listener=web outcome=fail": 0,
		"fwx_bytes_total direction=upstream listener=web":       4 * connections,
		"fwx_bytes_total direction=downstream listener=web":     4 * connections,
		"fwx_filter_failures_total filter=test":                 0,
		"fwx_connections_open":                                  0,
		"fwx_lua_waiting filter=test":                           0,
		"fwx_lua_timers filter=test":                            0,
		"fwx_held worker=0":                                     0,
		"fwx_held worker=1":                                     0,
		"fwx_store_entries kind=memory":                         0,
	}
	eventually(t, "the metrics are as they should be", func() string {
		return differences(g.fw.Measure(t.Context()), want)
	})
}

// TestMetricsOfWaiting looks at a handler that waits, and at one that fails.
func TestMetricsOfWaiting(t *testing.T) {
	g := newGateway(t, anyBackend, `
		function M.on_connect() fwx.after(3600, function() end) fwx.sleep(3600) end
		function M.on_data() error("never") end`).start()
	g.dial()
	eventually(t, "the handler waits", func() string {
		return differences(g.fw.Measure(t.Context()), map[string]float64{
			"fwx_held worker=0": 1, "fwx_lua_waiting filter=test": 1, "fwx_lua_timers filter=test": 1, "fwx_connections_open": 1,
			"fwx_connections_ended_total listener=web outcome=fail": 0,
		})
	})
	broken := newGateway(t, anyBackend, `function M.on_connect() error("never") end`).start()
	_, _ = broken.exchange("x") // it is reset
	eventually(t, "the failure is counted", func() string {
		return differences(broken.fw.Measure(t.Context()), map[string]float64{
			"fwx_filter_failures_total filter=test": 1, "fwx_script_errors_total filter=test handler=on_connect": 1, "fwx_held worker=0": 0,
			"fwx_connections_ended_total listener=web outcome=fail": 1,
		})
	})
}

// differences tells which of the wanted samples are not there.
func differences(families []metrics.Family, want map[string]float64) string {
	got := make(map[string]float64)
	for _, f := range families {
		for _, s := range f.Samples {
			var name strings.Builder
			name.WriteString(f.Name)
			for _, l := range s.Labels {
				name.WriteString(" " + l.Name + "=" + l.Value)
			}
			got[name.String()] = s.Value
		}
	}
	var b strings.Builder
	for name, value := range want {
		if v, ok := got[name]; !ok || v != value {
			b.WriteString("\n" + name)
		}
	}
	if b.Len() > 0 {
		return b.String() + "\nare not as wanted"
	}
	return ""
}

// TestTooManyMetrics asks for far more than there may be.
func TestTooManyMetrics(t *testing.T) {
	b := newBench(t, anyBackend)
	for range 3 {
		if got, err := b.run(`for i = 1, 20000 do fwx.metrics.counter("many_total", {i = i}):inc() end return "well"`); got != "well" || err != nil {
			t.Fatal(got, err)
		}
	}
	if n := strings.Count(b.log.String(), "metrics are not counted"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, b.log)
	}
	if n := len(b.state.filter.metrics.Gather()[0].Samples); n != 10_000 {
		t.Errorf("%d series", n)
	}
}
