package scripting

import (
	"errors"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
	"fwx/framework/completion"
	"fwx/framework/metrics"
)

var metricsFunctions = []binding{
	{
		"counter", newCounter, "(name: string, labels?: table<string, string|number|boolean>, help?: string) -> counter",
		"Returns a number that only grows. The same name and labels are the same counter, on all workers and in all filters.",
	},
	{
		"gauge", newGauge, "(name: string, labels?: table<string, string|number|boolean>, help?: string) -> gauge",
		"Returns a number that rises and falls, one for all workers.",
	},
	{
		"histogram", newHistogram, "(name: string, labels?: table<string, string|number|boolean>, help?: string, bounds?: number[]) -> histogram",
		"Returns what counts values by their size: in buckets up to each of `bounds`, which suit seconds from 0.001 to 10 if missing.",
	},
}

var counterMethods = []binding{
	{"inc", counterInc, "(n?: number)", "Adds `n`, 1 if it is missing. A negative number raises an error."},
}

var gaugeMethods = []binding{
	{"set", gaugeSet, "(value: number)", "Sets the gauge."},
	{"inc", gaugeInc, "(n?: number)", "Adds `n`, 1 if it is missing; a negative number takes away."},
}

var histogramMethods = []binding{
	{"observe", histogramObserve, "(value: number)", "Counts a value."},
}

// The metrics as scripts have them. Where there were too many series nothing is
// counted: a script must not fail for want of a metric.
type (
	counter   struct{ *metrics.Counter }
	gauge     struct{ *metrics.Gauge }
	histogram struct{ *metrics.Histogram }
)

// metricCost is the instructions that asking for a metric counts as.
const metricCost = 64

// reservedPrefixes begin the names of metrics that are not a script's own.
var reservedPrefixes = []string{"fwx_", "go_", "process_", "promhttp_"}

func newCounter(s *state, L *lua.LState) int {
	name, labels, help := s.argMetric(L)
	c, err := s.filter.metrics.Counter(name, help, labels...)
	s.checkMetric(L, err)
	return give(L, s.object(s.types.counter, counter{c}))
}

func newGauge(s *state, L *lua.LState) int {
	name, labels, help := s.argMetric(L)
	g, err := s.filter.metrics.Gauge(name, help, labels...)
	s.checkMetric(L, err)
	return give(L, s.object(s.types.gauge, gauge{g}))
}

func newHistogram(s *state, L *lua.LState) int {
	name, labels, help := s.argMetric(L)
	h, err := s.filter.metrics.Histogram(name, help, s.optBounds(L, 4), labels...)
	s.checkMetric(L, err)
	return give(L, s.object(s.types.histogram, histogram{h}))
}

// argMetric returns what a metric is asked for by.
func (s *state) argMetric(L *lua.LState) (name string, labels []metrics.Label, help string) {
	s.meter.charge(metricCost)
	name = argString(L, 1)
	for _, prefix := range reservedPrefixes {
		if strings.HasPrefix(name, prefix) {
			L.ArgError(1, "names that begin with "+prefix+" are not for scripts")
		}
	}
	help = "Counted by a script."
	if L.Get(3) != lua.LNil {
		help = argString(L, 3)
	}
	if L.Get(2) == lua.LNil {
		return name, nil, help
	}
	L.CheckTable(2).ForEach(func(key, value lua.LValue) {
		s.meter.charge(metricCost)
		label, ok := key.(lua.LString)
		if !ok {
			L.ArgError(2, "the name of a label is a string, not "+describe(key))
		}
		switch value.Type() {
		case lua.LTString, lua.LTNumber, lua.LTBool:
		default:
			L.ArgError(2, "a label is a string, number or boolean, not "+describe(value))
		}
		labels = append(labels, metrics.Label{Name: string(label), Value: plainText(value)})
	})
	return name, labels, help
}

// optBounds returns an argument that is a list of bounds; nil if it is missing.
func (s *state) optBounds(L *lua.LState, n int) []float64 {
	if L.Get(n) == lua.LNil {
		return nil
	}
	list := L.CheckTable(n)
	s.meter.charge(list.Len())
	bounds := make([]float64, 0, list.Len())
	for i := 1; i <= list.Len(); i++ {
		bound, ok := list.RawGetInt(i).(lua.LNumber)
		if !ok {
			L.ArgError(n, "a bound is a number, not "+describe(list.RawGetInt(i)))
		}
		bounds = append(bounds, float64(bound))
	}
	return bounds
}

// checkMetric raises an error about a metric that cannot be. That there are too
// many is logged once instead.
func (s *state) checkMetric(L *lua.LState, err error) {
	switch {
	case err == nil:
	case errors.Is(err, metrics.ErrTooManySeries):
		s.filter.metricsFull.Do(func() { s.logger.Warn("metrics are not counted", "error", err) })
	default:
		L.RaiseError("%s", err.Error())
	}
}

// optAmount returns how much is added; 1 if it is missing.
func optAmount(L *lua.LState, n int) float64 {
	if L.Get(n) == lua.LNil {
		return 1
	}
	return argNumber(L, n)
}

func counterInc(s *state, L *lua.LState) int {
	c, n := argObject[counter](L, 1, "counter"), optAmount(L, 2)
	if n < 0 {
		L.ArgError(2, "a counter only grows")
	}
	if c.Counter != nil {
		c.Add(s.worker.Index(), n)
	}
	return 0
}

func gaugeSet(_ *state, L *lua.LState) int {
	g, v := argObject[gauge](L, 1, "gauge"), argNumber(L, 2)
	if g.Gauge != nil {
		g.Set(v)
	}
	return 0
}

func gaugeInc(_ *state, L *lua.LState) int {
	g, n := argObject[gauge](L, 1, "gauge"), optAmount(L, 2)
	if g.Gauge != nil {
		g.Add(n)
	}
	return 0
}

func histogramObserve(s *state, L *lua.LState) int {
	h, v := argObject[histogram](L, 1, "histogram"), argNumber(L, 2)
	if h.Histogram != nil {
		h.Observe(s.worker.Index(), v)
	}
	return 0
}

// Measure tells how the script does on a worker.
func (f *filter) Measure(w *completion.Worker) []framework.Measurement {
	s := f.states[w.Index()]
	left := 0.0
	if s.breaker.until != 0 {
		left = 1
	}
	return []framework.Measurement{
		{Name: "fwx_lua_waiting", Help: "Handlers of a script that wait for something.", Value: float64(len(s.active))},
		{Name: "fwx_lua_fibers", Help: "Fibers that a script has, those for the next handlers included.", Value: float64(len(s.active) + len(s.idle))},
		{Name: "fwx_lua_left_out", Help: "Workers on which a script that kept failing is left out.", Value: left},
		{Name: "fwx_lua_memory_bytes", Help: "What a script held when that was last looked at, which is when it may matter.", Value: float64(s.memory.holds)},
		{Name: "fwx_lua_timers", Help: "Timers that a script has.", Value: float64(len(s.timers))},
	}
}

// countError counts the failure of a handler.
func (s *state) countError(handler string) {
	c, err := s.filter.metrics.Counter("fwx_script_errors_total", "Handlers of scripts that have failed.",
		metrics.Label{Name: "filter", Value: s.filter.settings.Name}, metrics.Label{Name: "handler", Value: handler})
	if err == nil { // otherwise scripts have used up the series
		c.Add(s.worker.Index(), 1)
	}
}
