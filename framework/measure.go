package framework

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"fwx/framework/completion"
	"fwx/framework/metrics"
)

// Measurer is a filter that reports numbers about itself in addition to the metrics that it
// counts: how many of something exist at the moment.
type Measurer interface {
	// Measure returns the numbers for one worker, on which it is called. Those of all workers
	// are added up and shown as a gauge with the filter's name as its label.
	Measure(w *completion.Worker) []Measurement
}

// Measurement is a number that a filter reports.
type Measurement struct {
	Name, Help string
	Value      float64
}

const (
	metricAccepted = "fwx_connections_total"
	metricEnded    = "fwx_connections_ended_total"
	metricBytes    = "fwx_bytes_total"
	metricShed     = "fwx_connections_shed_total"
	metricFailures = "fwx_filter_failures_total"
)

// helpFailures describes metricFailures.
const helpFailures = "Panics of a filter, and connections that it made fail."

// makeMetrics makes the metrics of each listener and filter. Counters continue from an earlier
// generation with the same names.
func (g *generation) makeMetrics() error {
	for _, l := range g.listeners {
		if l.carried(g) {
			continue
		}
		if err := l.makeMetrics(g.fw.metrics); err != nil {
			return err
		}
	}
	for _, u := range g.upstreams {
		if u.tls == nil {
			continue
		}
		if err := u.tls.MakeMetrics(g.fw.metrics, metrics.Label{Name: "upstream", Value: u.config.Name}); err != nil {
			return err
		}
	}
	for _, f := range g.filters {
		if _, err := g.fw.metrics.Counter(metricFailures, helpFailures, metrics.Label{Name: "filter", Value: f.config.Name}); err != nil {
			return err
		}
	}
	return nil
}

func (l *listener) makeMetrics(r *metrics.Registry) (err error) {
	name := metrics.Label{Name: "listener", Value: l.config.Name}
	if l.accepted, err = r.Counter(metricAccepted, "Connections accepted.", name); err != nil {
		return err
	}
	for outcome := range l.ended {
		label := metrics.Label{Name: "outcome", Value: Outcome(outcome).String()}
		if l.ended[outcome], err = r.Counter(metricEnded, "Connections that have ended.", name, label); err != nil {
			return err
		}
	}
	for dir := range l.bytes {
		label := metrics.Label{Name: "direction", Value: Direction(dir).String()}
		if l.bytes[dir], err = r.Counter(metricBytes, "Bytes received from the side that the direction comes from.", name, label); err != nil {
			return err
		}
	}
	if l.shed, err = r.Counter(metricShed, "Connections that were ended because their worker was short of receive buffers, of which they kept some without moving.", name); err != nil {
		return err
	}
	if l.http != nil {
		if err := l.makeHTTPMetrics(r); err != nil {
			return err
		}
	}
	if l.tls != nil {
		return l.tls.MakeMetrics(r, name)
	}
	return nil
}

// failedBy counts a failure that a filter has caused.
func (c *Connection) failedBy(filter string) {
	counter, err := c.fw.metrics.Counter(metricFailures, helpFailures, metrics.Label{Name: "filter", Value: filter})
	if err == nil { // an error means that scripts have used up the series
		counter.Add(c.worker.Index(), 1)
	}
}

// hold counts an event or a chunk that a filter holds, and returns the time.
func (c *Connection) hold() time.Duration {
	c.load().holds.Add(1)
	return c.worker.Now()
}

func (c *Connection) unhold() { c.load().holds.Add(-1) }

// Metrics returns the registry in which filters count, from FilterInit on.
func (fw *Firewall) Metrics() *metrics.Registry { return fw.metrics }

// Measure returns all metrics as they are now: the counters, and what the firewall and its
// filters can report. A worker that does not answer before ctx ends is left out.
func (fw *Firewall) Measure(ctx context.Context) []metrics.Family {
	if fw.Port() == nil {
		return nil
	}
	m := measurements{families: fw.metrics.Gather()}
	fw.measureConnections(&m)
	fw.measureStore(&m)
	fw.measureUpstreams(&m)
	fw.measureTLS(&m)
	if log, ok := fw.logger.Handler().(interface{ Dropped() uint64 }); ok { // one of package logqueue
		m.add(metrics.KindCounter, "fwx_log_dropped_total", "Lines of the log that were dropped because nobody took them.", float64(log.Dropped()))
	}
	if fw.Ready() { // filters are not asked while they start or end
		fw.measureWorkers(ctx, &m)
	}
	slices.SortStableFunc(m.families, func(a, b metrics.Family) int { return strings.Compare(a.Name, b.Name) })
	return m.families
}

// measurements gathers families.
type measurements struct{ families []metrics.Family }

// add adds a sample to the family with a name, which it makes if necessary.
func (m *measurements) add(kind metrics.Kind, name, help string, value float64, labels ...metrics.Label) {
	i := slices.IndexFunc(m.families, func(f metrics.Family) bool { return f.Name == name })
	if i < 0 {
		i = len(m.families)
		m.families = append(m.families, metrics.Family{Name: name, Help: help, Kind: kind})
	}
	m.families[i].Samples = append(m.families[i].Samples, metrics.Sample{Labels: labels, Value: value})
}

func (fw *Firewall) measureConnections(m *measurements) {
	m.add(metrics.KindGauge, "fwx_connections_open", "Connections there are.", float64(fw.open.Load()))
	m.add(metrics.KindGauge, "fwx_connections_limit", "Connections there may be.", float64(fw.limit.Load()))
	m.add(metrics.KindCounter, "fwx_filter_panics_total", "Panics of filters.", float64(fw.panics.Load()))
	m.add(metrics.KindCounter, "fwx_port_panics_total", "Panics of completion handlers.", float64(fw.port.Panics()))
	info := fw.port.Info()
	m.add(metrics.KindGauge, "fwx_port_info", "The backend of the completion port, and why it was taken.", 1,
		metrics.Label{Name: "backend", Value: info.Backend}, metrics.Label{Name: "reason", Value: info.Reason})
}

func (fw *Firewall) measureStore(m *measurements) {
	s := fw.store.Stats()
	kind := metrics.Label{Name: "kind", Value: s.Kind}
	m.add(metrics.KindGauge, "fwx_store_entries", "Values in the store, if it is in memory.", float64(s.Entries), kind)
	m.add(metrics.KindGauge, "fwx_store_bytes", "Bytes that they take.", float64(s.Bytes), kind)
	m.add(metrics.KindCounter, "fwx_store_evictions_total", "Values that had to make room for others.", float64(s.Evictions), kind)
	m.add(metrics.KindGauge, "fwx_store_waiting", "Requests to the store without an answer yet.", float64(s.Waiting), kind)
	m.add(metrics.KindCounter, "fwx_store_failures_total", "Requests that the store could not carry out.", float64(s.Failures), kind)
}

func (fw *Firewall) measureUpstreams(m *measurements) {
	for _, u := range fw.UpstreamInfos() {
		for _, s := range u.Servers {
			labels := []metrics.Label{{Name: "upstream", Value: u.Name}, {Name: "server", Value: s.Address}}
			up := 0.0
			if s.State == "up" {
				up = 1
			}
			m.add(metrics.KindGauge, "fwx_upstream_up", "Whether a server can be chosen: it is not down, ejected, drained or gone.", up, labels...)
			m.add(metrics.KindGauge, "fwx_upstream_connections", "Connections to a server.", float64(s.Connections), labels...)
			m.add(metrics.KindCounter, "fwx_upstream_chosen_total", "Times that a server was chosen.", float64(s.Chosen), labels...)
			m.add(metrics.KindCounter, "fwx_upstream_failures_total", "Times that a server could not be reached, checks not included.", float64(s.Failed), labels...)
			m.add(metrics.KindCounter, "fwx_upstream_checks_total", "Checks of a server.", float64(s.Checks), labels...)
			m.add(metrics.KindCounter, "fwx_upstream_checks_failed_total", "Those that have failed.", float64(s.FailedChecks), labels...)
			m.add(metrics.KindCounter, "fwx_upstream_ejections_total", "Times that a server was ejected.", float64(s.Ejections), labels...)
		}
	}
}

// workerMeasure is what one worker reports.
type workerMeasure struct {
	operations int
	buffers    completion.BufferUse
	bodies     int64 // bytes that HTTP exchanges keep in memory
	held       int64
	filters    []filterMeasurement
}

type filterMeasurement struct {
	filter string
	Measurement
}

// measureWorkers adds what only the workers know.
func (fw *Firewall) measureWorkers(ctx context.Context, m *measurements) {
	found, _ := onWorkers(ctx, fw.port, fw.measureWorker)
	var sums []filterMeasurement
	for _, worker := range slices.Sorted(maps.Keys(found)) {
		label := metrics.Label{Name: "worker", Value: strconv.Itoa(worker)}
		m.add(metrics.KindGauge, "fwx_held", "Events and chunks that filters keep.", float64(found[worker].held), label)
		m.add(metrics.KindGauge, "fwx_port_operations", "Operations in flight on the completion port.", float64(found[worker].operations), label)
		buffers := found[worker].buffers
		m.add(metrics.KindGauge, "fwx_http_body_memory_bytes", "Memory for whole bodies, decoders, messages of WebSockets and pieces of files.", float64(found[worker].bodies), label)
		m.add(metrics.KindGauge, "fwx_port_buffers_kept", "Receive buffers in use.", float64(buffers.Kept), label)
		m.add(metrics.KindGauge, "fwx_port_buffers_limit", "Receive buffers there may be. From half of them on copies are kept instead.", float64(buffers.Limit), label)
		m.add(metrics.KindGauge, "fwx_port_buffer_copies_bytes", "Bytes of the copies that stand for receive buffers.", float64(buffers.Copied), label)
		m.add(metrics.KindGauge, "fwx_port_shortage_seconds", "How long no receive that waits for a buffer has got one; 0: none waits.", buffers.Shortage.Seconds(), label)
		for _, f := range found[worker].filters {
			i := slices.IndexFunc(sums, func(s filterMeasurement) bool { return s.filter == f.filter && s.Name == f.Name })
			if i < 0 {
				sums = append(sums, f)
			} else {
				sums[i].Value += f.Value
			}
		}
	}
	for _, s := range sums {
		m.add(metrics.KindGauge, s.Name, s.Help, s.Value, metrics.Label{Name: "filter", Value: s.filter})
	}
}

func (fw *Firewall) measureWorker(w *completion.Worker) workerMeasure {
	load := &fw.live[w.Index()]
	m := workerMeasure{operations: w.Operations(), buffers: w.BufferUse(), held: load.holds.Load()}
	if load.http != nil {
		m.bodies = load.http.claimed
	}
	for _, f := range fw.current.Load().filters {
		if measurer, ok := f.Filter.(Measurer); ok && f.used {
			for _, measurement := range measurer.Measure(w) {
				m.filters = append(m.filters, filterMeasurement{f.config.Name, measurement})
			}
		}
	}
	return m
}
