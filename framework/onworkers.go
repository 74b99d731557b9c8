package framework

import (
	"context"

	"fwx/framework/completion"
)

// onWorkers runs f on every worker and returns the results by the workers' indexes. Workers
// that do not answer before ctx ends are late; f may still run there, without effect. A worker
// that has ended is not late.
func onWorkers[T any](ctx context.Context, port *completion.Port, f func(*completion.Worker) T) (results map[int]T, late []int) {
	type result struct {
		worker int
		value  T
	}
	workers := port.Workers()
	done := make(chan result, len(workers))
	var posted []int
	for _, w := range workers {
		if err := w.Post(func() { done <- result{w.Index(), f(w)} }); err == nil {
			posted = append(posted, w.Index())
		}
	}
	results = make(map[int]T, len(workers))
	for waiting := true; waiting && len(results) < len(posted); {
		select {
		case r := <-done:
			results[r.worker] = r.value
		case <-ctx.Done():
			waiting = false
		}
	}
	for _, index := range posted {
		if _, ok := results[index]; !ok {
			late = append(late, index)
		}
	}
	return results, late
}
