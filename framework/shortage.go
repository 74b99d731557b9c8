package framework

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"fwx/framework/completion"
)

// A worker is short of receive buffers if receives wait for one and none becomes free, because
// connections on which no data moves keep them all. Then the operator is alerted, and the
// connections that have been idle longest are ended to make room.

// maxShed bounds the connections that are ended at a time.
const maxShed = 256

// alertPause is the minimum time between two alerts about the same shortage.
const alertPause = time.Minute

// watchShortages makes the workers report a shortage of buffers.
func (fw *Firewall) watchShortages() {
	for _, w := range fw.port.Workers() {
		_ = w.Post(func() { w.OnShortage(func() { fw.short(w) }) }) // the port is open
	}
}

// short makes room on a worker that is short of buffers.
func (fw *Firewall) short(w *completion.Worker) {
	use, now := w.BufferUse(), w.Now()
	var kept []*Connection
	for c := range fw.live[w.Index()].connections {
		if c.keepsBuffer() && now-c.active >= completion.ShortageTime {
			kept = append(kept, c)
		}
	}
	slices.SortFunc(kept, func(a, b *Connection) int { return cmp.Compare(a.active, b.active) })
	shed := kept[:min(len(kept), maxShed)]
	text := fmt.Sprintf("the worker has no receive buffers left: all %d are kept; of %d connections that keep some and do not move, %d are ended", use.Limit, len(kept), len(shed))
	fw.logger.Error("shortage of buffers", "worker", w.Index(), "kept", use.Kept, "for", use.Shortage, "connections", len(kept), "ended", len(shed))
	if load := &fw.live[w.Index()]; now >= load.shortUntil {
		fw.RaiseAlert("", w.Index(), text)
		load.shortUntil = now + alertPause
	}
	for _, c := range shed {
		c.listener.shed.Add(w.Index(), 1)
		reason := fmt.Sprintf("the worker has no receive buffers left, and no data has moved on this connection for %v", (now - c.active).Round(time.Millisecond))
		if h := c.clientConn(); h != nil {
			h.cutOff(ByLimit, reason)
		} else {
			c.breakOff(ByLimit, errors.New(reason))
		}
	}
}

// keepsBuffer reports whether the connection keeps a receive buffer without waiting for a
// filter.
func (c *Connection) keepsBuffer() bool {
	if c.phase != phasePump || c.waitsForFilter() {
		return false
	}
	h := c.clientConn()
	return c.flows[Upstream].buffer != nil || c.flows[Downstream].buffer != nil || h != nil && h.x != nil && h.x.server != nil && h.x.server.buffer != nil
}

// Short returns the workers that are short of receive buffers: all buffers are kept, and
// receives have waited for one for a second. A worker that does not answer before ctx ends is
// left out, see Stuck.
func (fw *Firewall) Short(ctx context.Context) []int {
	if fw.Port() == nil {
		return nil
	}
	found, _ := onWorkers(ctx, fw.port, func(w *completion.Worker) bool { return w.BufferUse().Shortage >= completion.ShortageTime })
	maps.DeleteFunc(found, func(_ int, short bool) bool { return !short })
	return slices.Sorted(maps.Keys(found))
}
