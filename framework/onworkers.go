package framework

import (
	"context"

	"fwx/framework/completion"
)

// onWorkers runs f on every worker and returns the results by the workers' indexes.
// Workers that do not come to it before the end of ctx are late; f may still run
// there, to no effect.
func onWorkers[T any](ctx context.Context, port *completion.Port, f func(*completion.Worker) T) (results map[int]T, late []int) {
	type result struct {
		worker int
		value  T
	}
	workers := port.Workers()
	done := make(chan result, len(workers))
	posted := 0
	for _, w := range workers {
		if err := w.Post(func() { done <- result{w.Index(), f(w)} }); err == nil {
			posted++
		}
	}
	results = make(map[int]T, len(workers))
	for waiting := true; waiting && len(results) < posted; {
		select {
		case r := <-done:
			results[r.worker] = r.value
		case <-ctx.Done():
			waiting = false
		}
	}
	for _, w := range workers {
		if _, ok := results[w.Index()]; !ok {
			late = append(late, w.Index())
		}
	}
	return results, late
}
