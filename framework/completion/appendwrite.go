package completion

import "time"

// The part of an Appender that runs on its home worker.

const (
	appendRetry    = time.Second      // between two tries of a write that fails
	appendLogEvery = 10 * time.Second // how often a failure is logged
)

// appendTask is an Appender as the task that starts its next write.
type appendTask Appender

// CompleteTask starts the next write.
func (t *appendTask) CompleteTask(any) { (*Appender)(t).run() }

// appendWrite is an Appender as the notification of its write.
type appendWrite Appender

// CompleteAsyncIO notes what has been written and goes on.
func (t *appendWrite) CompleteAsyncIO(_ bool, bytes int, err error, _ *Overlapped, _ any) {
	(*Appender)(t).wrote(bytes, err)
}

// run starts the next write, unless one is in flight or there is nothing to write.
func (a *Appender) run() {
	if a.write.InFlight() || a.file.Closed() {
		return
	}
	a.retry.Stop()
	buf := a.next()
	if buf == nil {
		a.dispose()
		return
	}
	// The file is open for appending, so the offset is of no account.
	if err := a.file.WriteFile(&a.write.ov, buf); err != nil {
		a.wrote(0, err)
	}
}

// next returns what is to be written next: the rest of the last write, or
// everything that was queued since. With nothing left it is nil, and those who
// waited for that are told.
func (a *Appender) next() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.writing) == 0 {
		a.base, a.queue = a.queue, a.base[:0]
		a.writing = a.base
	}
	if len(a.writing) > 0 {
		return a.writing
	}
	a.active = false
	release(&a.closers, nil)
	return nil
}

// wrote notes the end of a write.
func (a *Appender) wrote(n int, err error) {
	a.mu.Lock()
	a.writing = a.writing[n:]
	a.pending -= n
	failed := a.err
	a.err = err
	if err != nil {
		release(&a.waiting, err)
	}
	a.admit()
	pending, refs, shutdown := a.pending, a.refs, a.shutdown
	a.mu.Unlock()

	switch {
	case err == nil:
		if failed != nil {
			a.home.logger.Info("appending to a file works again", "path", a.path, "waiting", pending)
			a.logged = 0
		}
		a.run()
	case refs == 0 || shutdown:
		a.giveUp(err)
	default:
		a.logFailure(err, pending)
		a.retry.Reset(appendRetry)
	}
}

// admit queues the records that waited for room, in their order.
func (a *Appender) admit() {
	for o := a.waiting.first; o != nil && a.hasRoom(o.buf); o = a.waiting.first {
		a.waiting.pop()
		a.accept(o.buf)
		o.bytes = len(o.buf)
		o.worker.completeRemote(o)
	}
}

// release completes everything in a queue with err.
func release(q *opQueue, err error) {
	for o := q.pop(); o != nil; o = q.pop() {
		o.err = err
		o.worker.completeRemote(o)
	}
}

func (a *Appender) logFailure(err error, pending int) {
	now := int64(a.home.Now())
	if a.logged != 0 && now-a.logged < int64(appendLogEvery) {
		return
	}
	a.logged = max(now, 1)
	a.home.logger.Error("appending to a file fails; it is tried again", "path", a.path, "error", err, "waiting", pending)
}

// giveUp ends an appender that nobody will wait for. What a shutdown loses is
// reported at its end.
func (a *Appender) giveUp(err error) {
	a.mu.Lock()
	shutdown := a.shutdown
	release(&a.closers, err)
	a.mu.Unlock()
	switch {
	case shutdown:
	case a.port.removeAppender(a, true):
		a.reportLoss()
		_ = a.file.Close() // nothing is in flight
	default: // somebody has opened it again
		a.retry.Reset(appendRetry)
	}
}

// dispose closes the file if nobody has it open and everything is written.
func (a *Appender) dispose() {
	if a.port.removeAppender(a, false) {
		_ = a.file.Close() // nothing is in flight
	}
}

// reportLoss logs, once, how much has been accepted and will not be written.
func (a *Appender) reportLoss() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pending == 0 || a.reported {
		return
	}
	a.reported = true
	a.port.options.Logger.Error("bytes that were to be appended to a file are lost", "path", a.path, "bytes", a.pending, "error", a.err)
}
