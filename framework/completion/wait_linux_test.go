//go:build !portable

package completion_test

import (
	"runtime"
	"testing"

	"fwx/framework/completion"
)

// TestCollectionWhileWorkersWait has garbage collected while the workers are in waits that
// Go's scheduler does not know of: without a signal that ends them this never returns.
func TestCollectionWhileWorkersWait(t *testing.T) {
	for _, backend := range completion.Backends() {
		t.Run(backend, func(t *testing.T) {
			workers := []*completion.Worker{
				openWith(t, completion.Options{Backend: backend, Workers: 1}),
				openWith(t, completion.Options{Backend: backend, Workers: 1}),
			}
			for range 20 {
				for _, w := range workers { // so that their next waits are such ones
					check(t, w.Call(func() {}))
				}
				runtime.GC()
			}
		})
	}
}
