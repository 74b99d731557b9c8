package admin

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"fwx/framework"
	"fwx/framework/metrics"
)

// maxScrapes bounds the scrapes at a time.
const maxScrapes = 4

// metricsHandler shows the metrics of the firewall, of Go and of the process.
func metricsHandler(fw *framework.Firewall) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collector{fw}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(fw.Logger().Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
	})
}

// collector lets Prometheus see the metrics of a firewall.
type collector struct{ fw *framework.Firewall }

// Describe tells nothing: which metrics there are is known when they are collected.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect gathers the metrics as they are now.
func (c collector) Collect(found chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	for _, family := range c.fw.Measure(ctx) {
		for _, sample := range family.Samples {
			found <- convert(family, sample)
		}
	}
}

// convert returns a sample as Prometheus has it.
func convert(family metrics.Family, sample metrics.Sample) prometheus.Metric {
	names, values := make([]string, len(sample.Labels)), make([]string, len(sample.Labels))
	for i, l := range sample.Labels {
		names[i], values[i] = l.Name, l.Value
	}
	description := prometheus.NewDesc(family.Name, family.Help, names, nil)
	var m prometheus.Metric
	var err error
	switch family.Kind {
	case metrics.KindCounter:
		m, err = prometheus.NewConstMetric(description, prometheus.CounterValue, sample.Value, values...)
	case metrics.KindGauge:
		m, err = prometheus.NewConstMetric(description, prometheus.GaugeValue, sample.Value, values...)
	case metrics.KindHistogram:
		d := sample.Distribution
		buckets := make(map[float64]uint64, len(d.Bounds))
		for i, bound := range d.Bounds {
			buckets[bound] = d.Counts[i]
		}
		m, err = prometheus.NewConstHistogram(description, d.Count, d.Sum, buckets, values...)
	}
	if err != nil {
		return prometheus.NewInvalidMetric(description, err)
	}
	return m
}
