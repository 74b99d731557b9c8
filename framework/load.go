package framework

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/cpu"

	"fwx/framework/completion"
)

// workerLoad is what the gateway has on one worker. It fills a cache line of its own.
type workerLoad struct {
	connections map[*Connection]struct{} // used on the worker only
	count       atomic.Int64
	holds       atomic.Int64             // events and chunks that filters hold
	handshakes  handshakeLimiter         // used on the worker only
	http        *httpPool                // used on the worker only; nil until the worker has an HTTP connection
	sends       []*completion.Overlapped // used on the worker only: operations that can be lent
	shortUntil  time.Duration            // used on the worker only: no alert about a shortage is raised before

	_ cpu.CacheLinePad
}

// maxSends bounds the spare operations of a worker.
const maxSends = 1024

// load returns the workerLoad of the connection's worker.
func (c *Connection) load() *workerLoad { return &c.fw.live[c.worker.Index()] }

// lend returns an operation for one send. Most connections are idle most of the time, so none
// has an operation of its own.
func (c *Connection) lend(notify completion.ExternalIOCompletion) (*completion.Overlapped, error) {
	load := c.load()
	var o *completion.Overlapped
	if last := len(load.sends) - 1; last >= 0 {
		o = load.sends[last]
		load.sends = load.sends[:last]
	} else {
		o = c.worker.CreateOverlapped()
	}
	return o, o.SetNotificationInterface(notify, nil)
}

// giveBack returns a lent operation that has completed.
func (c *Connection) giveBack(o *completion.Overlapped) {
	if load := c.load(); len(load.sends) < maxSends {
		_ = o.SetNotificationInterface(ignoreCompletion, nil) // drop the reference to the connection
		load.sends = append(load.sends, o)
	}
}

// ignoreCompletion ignores a notification.
var ignoreCompletion completion.CompletionFunc = func(bool, int, error, *completion.Overlapped, any) {}

// count occupies a place for a connection on a worker. It returns false if no place is free.
func (fw *Firewall) count(w *completion.Worker) bool {
	for n := fw.open.Load(); n < fw.limit.Load(); n = fw.open.Load() {
		if fw.open.CompareAndSwap(n, n+1) {
			fw.live[w.Index()].count.Add(1)
			if fw.crowded() {
				fw.shed()
			}
			return true
		}
	}
	return false
}

// uncount gives up the place of a connection.
func (fw *Firewall) uncount(w *completion.Worker) {
	fw.live[w.Index()].count.Add(-1)
	if fw.open.Add(-1) == fw.limit.Load()-1 {
		for _, l := range fw.current.Load().listeners {
			l.acceptor.resume()
		}
	}
}

// leastLoaded returns the worker with the fewest connections; w if no other has fewer.
func (fw *Firewall) leastLoaded(w *completion.Worker) *completion.Worker {
	best, least := w, fw.live[w.Index()].count.Load()
	for i, other := range fw.port.Workers() {
		if n := fw.live[i].count.Load(); n < least {
			best, least = other, n
		}
	}
	return best
}

// reset resets the connections of generations for a reason, and waits for their end.
func (fw *Firewall) reset(ctx context.Context, reason error, generations ...*generation) error {
	for i, w := range fw.port.Workers() {
		_ = w.Post(func() { //nolint:contextcheck // the port is open; what the end of a connection causes ends by itself
			for c := range fw.live[i].connections {
				if slices.Contains(generations, c.listener.generation.Load()) {
					c.abort(reason)
				}
			}
		})
	}
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	for _, g := range generations {
		select {
		case <-g.drained:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
