//go:build race

package framework

import "testing"

// TestChunkChanged is row C23: a filter that changes the chunk that it was given is
// found out under the race detector, also behind a Hold.
func TestChunkChanged(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			for _, hold := range []bool{false, true} {
				var ends ends
				change := func(c *Connection, dir Direction, chunk []byte) Verdict {
					if !hold {
						chunk[0]++
						return Pass
					}
					later := func() {
						chunk[0]++
						resume(c, dir, Pass)
					}
					if err := c.Worker().Post(later); err != nil {
						return Fail(err.Error())
					}
					return Hold
				}
				g := startGateway(t, gatewayConfig(backend, serve(t, echo), &testFilter{onData: change, onEvent: ends.event}))
				g.attempt(t)
				if e := ends.one(t); e.outcome != Failed || e.reason != `filter "a": it has changed the chunk` {
					t.Errorf("ended %+v", e)
				}
			}
		})
	}
}
