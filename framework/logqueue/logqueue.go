// Package logqueue keeps a slow or dead reader of the log from stopping those who write it.
//
// A Queue takes what is written to it and returns at once; a goroutine of its own hands that to
// the real writer. The queue is bounded. What finds no room in it is dropped and counted, and
// the log says how much was when its reader takes something again.
package logqueue

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// MaxWaiting is how many bytes may wait to be written.
const MaxWaiting = 4 << 20

// maxSpare is how large a buffer may be that is kept to be used again.
const maxSpare = 256 << 10

// Queue is a writer that never waits. Each call of Write is a line, or several, and is dropped
// as a whole.
type Queue struct {
	to      io.Writer
	note    slog.Handler // writes to the writer itself, past the queue
	written chan struct{}

	mu      sync.Mutex
	arrived sync.Cond
	waiting []byte
	spare   []byte // what was written last, to be used again; nil: it was too large
	dropped uint64 // lines, ever
	untold  uint64 // of them, those that the log does not tell of yet
	failing bool   // the writer has returned an error
	closed  bool
}

// New returns a queue of what is to be written to a writer. It must be closed.
func New(to io.Writer) *Queue {
	q := &Queue{to: to, note: slog.NewTextHandler(to, nil), written: make(chan struct{})}
	q.arrived.L = &q.mu
	go q.run()
	return q
}

// Write queues a copy of p.
func (q *Queue) Write(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.waiting)+len(p) > MaxWaiting {
		q.drop(p)
	} else {
		q.waiting = append(q.waiting, p...)
		q.arrived.Signal()
	}
	return len(p), nil
}

// drop counts lines that are not written.
func (q *Queue) drop(lines []byte) {
	n := uint64(bytes.Count(lines, []byte("\n")))
	q.dropped += n
	q.untold += n
}

// Dropped returns how many lines have been dropped.
func (q *Queue) Dropped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

// Close ends the queue when everything in it has been written. When ctx ends before, it
// returns an error, and what is left is lost.
func (q *Queue) Close(ctx context.Context) error {
	q.mu.Lock()
	q.closed = true
	q.arrived.Signal()
	q.mu.Unlock()
	select {
	case <-q.written:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the log is not taken: %w", ctx.Err())
	}
}

// run writes until the queue is closed and empty.
func (q *Queue) run() {
	defer close(q.written)
	for {
		batch, untold, ok := q.next()
		if !ok {
			return
		}
		n, err := q.to.Write(batch)
		if err == nil && untold > 0 {
			err = q.tell(untold)
		}
		q.mu.Lock()
		if q.failing = err != nil; q.failing {
			q.untold += untold
			q.drop(batch[min(max(n, 0), len(batch)):])
		}
		q.mu.Unlock()
	}
}

// next waits for something to be written, and for the moment to say how many lines were
// dropped: after those that had waited.
func (q *Queue) next() (batch []byte, untold uint64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.pending() && !q.closed {
		q.arrived.Wait()
	}
	if !q.pending() {
		return nil, 0, false
	}
	batch, q.waiting = q.waiting, q.spare[:0]
	q.spare = nil
	if cap(batch) <= maxSpare {
		q.spare = batch
	}
	untold, q.untold = q.untold, 0
	return batch, untold, true
}

// pending reports whether there is something to be written. A writer that fails is not told
// what it has lost before there is more.
func (q *Queue) pending() bool { return len(q.waiting) > 0 || q.untold > 0 && !q.failing }

// tell writes how many lines were dropped.
func (q *Queue) tell(lines uint64) error {
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "the log was not taken fast enough: lines were dropped", 0)
	r.AddAttrs(slog.Uint64("lines", lines))
	return q.note.Handle(context.Background(), r)
}

// Handler returns a handler that writes text to the queue.
func (q *Queue) Handler() slog.Handler { return handler{slog.NewTextHandler(q, nil), q} }

// handler is a handler whose queue can be asked what it has dropped: framework.Firewall counts
// that as a metric.
type handler struct {
	slog.Handler
	queue *Queue
}

func (h handler) Dropped() uint64 { return h.queue.Dropped() }

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs), h.queue}
}

func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.Handler.WithGroup(name), h.queue}
}
