package completion

import (
	"flag"
	"fmt"
	"testing"

	"fwx/framework/fwxtest/limits"
)

var update = flag.Bool("update", false, "rewrite what is generated")

// TestLimitsPage sees that docs/reference/limits.md tells the limits of the port as they are.
func TestLimitsPage(t *testing.T) {
	size := func(n, bytes int) string { return fmt.Sprintf("%s of %s", limits.Count(n), limits.Size(bytes)) }
	limits.Compare(t, "../..", "port", []limits.Limit{
		limits.Of("receive buffers", "", size(defaultMaxBuffers, defaultBufferSize), "from half of them on copies are kept; see below", "`fwx_port_buffers_kept`", "TestNobodyWaitsForThoseWhoDoNotRead"),
		limits.Of("copies that stand for receive buffers", "", limits.Size(defaultMaxBuffers/2*defaultBufferSize), "connections that do not move make room", "`fwx_port_buffer_copies_bytes`, `fwx_connections_shed_total`", "TestShortage"),
		limits.Of("receives that wait for a buffer", "", "one for each connection and direction", "after "+limits.Time(ShortageTime)+": 503 of `/healthz`, an alert", "`fwx_port_shortage_seconds`", "TestShortage"),
		limits.Of("what the system keeps of what was sent on a connection and is not under way (Linux)", "", limits.Size(maxUnsent), "the send waits", "", "TestSystemKeepsLittle"),
		limits.Of("how long one queue of a worker has its turn", "", limits.Time(turnShare), "the others have theirs", "", "TestTurnIsShared"),
		limits.Of("what handlers send or write until the system moves it (io_uring)", "", limits.Size(transferBatch), "it is moved before the next handler", "", "TestSendsAreShared"),
		limits.Of("operations in flight", "", limits.Count(defaultMaxOperations), "a start fails", "`fwx_port_operations`", "TestConformance"),
		limits.Of("threads for operations that block", "", limits.Count(defaultFileThreads), "they wait for their turn", "", "TestConformance"),
		limits.Of("stand-ins for workers that block", "", limits.Count(maxStandIns), "the worker's others wait", "", "TestConformance"),
		limits.Of("records that wait to be appended to a file", "", limits.Size(defaultAppendQueue), "who appends waits", "", "TestConformance"),
		limits.Of("connections that wait to be accepted", "", limits.Count(listenBacklog), "the system refuses them, or lets them try again", "", "TestConformance"),
	}, *update)
}
