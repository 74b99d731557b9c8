// Package metrics counts what happens in a gateway.
//
// A [Registry] holds families of metrics, each of which has a series for every set
// of label values that was asked for. Counters and histograms have a cell for each
// worker, which only that worker writes, so counting takes no lock and shares no
// line of cache; [Registry.Gather] adds the cells up. The same name and labels are the
// same metric, whoever asks.
//
// How metrics are shown is no business of this package.
package metrics
