package framework

// endTask is a connection as the task that takes the next step of its end.
type endTask Connection

// deny ends the connection because a filter denied it.
func (c *Connection) deny(filter, reason string) {
	c.denied(filter, reason)
	c.end(true)
}

// denied records and logs a denial.
func (c *Connection) denied(filter, reason string) {
	if c.outcome == Passed {
		c.outcome, c.by, c.reason = Denied, ByFilter, reason
	}
	c.fw.logger.Info("connection denied", "connection", c.id, "client", c.client.String(),
		"listener", c.Listener(), "filter", filter, "reason", reason, "by", ByFilter.String())
}

// fail ends the connection because of an error.
func (c *Connection) fail(by EndedBy, reason string) {
	c.failed(by, reason)
	c.end(true)
}

// failed records and logs an error.
func (c *Connection) failed(by EndedBy, reason string) {
	if c.outcome == Passed {
		c.outcome, c.by, c.reason = Failed, by, reason
	}
	c.fw.logger.Warn("connection failed", "connection", c.id, "client", c.client.String(),
		"listener", c.Listener(), "reason", reason, "by", by.String())
}

// breakOff ends the connection because one side broke it off. It resets the other side.
func (c *Connection) breakOff(by EndedBy, err error) {
	c.noteError(by, err)
	c.end(true)
}

// noteError records the first error of the connection.
func (c *Connection) noteError(by EndedBy, err error) {
	if c.outcome == Passed {
		c.outcome, c.by, c.reason = Failed, by, err.Error()
	}
}

// noteEnd records who ended a connection without an error, and why.
func (c *Connection) noteEnd(by EndedBy, reason string) {
	if c.outcome == Passed && c.by == ByNobody && !c.Ended() {
		c.by, c.reason = by, reason
	}
}

// abort ends the connection because the gateway cannot keep it.
func (c *Connection) abort(reason error) {
	if !c.Ended() {
		c.breakOff(ByGateway, reason)
	}
}

// end closes both sides. The rest of the end waits for the operations in flight, and for the
// caller to return.
func (c *Connection) end(reset bool) {
	if c.phase >= phaseDrain {
		return
	}
	c.phase = phaseDrain
	c.attempts.cancel()
	for len(c.pending) > 0 {
		c.pending[0].Cancel()
	}
	for _, s := range [...]stream{c.internal, c.external} {
		if s == nil || s.Closed() {
			continue
		}
		if reset {
			_ = s.Reset() // it is open
		} else {
			_ = s.Close() // it is open
		}
	}
	if c.idle != nil {
		c.idle.Stop()
	}
	c.phaseTimer.Reset(c.fw.patience)
	c.postEndStep()
}

// postEndStep posts the next step of the end as a task, so that no filter is told of the end
// during one of its own calls.
func (c *Connection) postEndStep() {
	if err := c.worker.PostTaskCompletion((*endTask)(c), nil); err != nil {
		c.endStep() // the port is closed, so no filter is being called
	}
}

// afterCompletion takes the next step of the end, if the connection is ending. Only completion
// handlers call it, last of all: no filter is being called then.
func (c *Connection) afterCompletion() {
	if c.phase == phaseDrain {
		c.endStep()
	}
}

// CompleteTask takes the next step of the end.
func (s *endTask) CompleteTask(any) { (*Connection)(s).endStep() }

// endStep tells the data filters of the end. Once all operations on the connection's sockets
// have completed, and filters hold neither chunk nor event, it tells the session filters.
func (c *Connection) endStep() {
	if c.phase != phaseDrain {
		return
	}
	c.detach()
	if c.busy() {
		return
	}
	for i := range c.flows {
		c.flows[i].release()
	}
	c.attempts.release()
	c.duration = c.worker.Now() - c.started
	c.phase = phaseEnded
	c.phaseTimer.Reset(c.fw.patience)
	c.raise(ConnectionTerminating)
}

// busy reports whether an operation of the connection is in flight, or a filter holds
// something.
func (c *Connection) busy() bool {
	return c.handling || c.event.held || c.handshake.busy() || c.attempts.inFlight() || c.flows[Upstream].busy() || c.flows[Downstream].busy()
}

// detach tells the data filters, and the session filter that holds an event, that the
// connection has ended. It does so once.
func (c *Connection) detach() {
	if c.detached {
		return
	}
	c.detached = true
	if c.event.held {
		f := c.listener.filters[c.event.next]
		if i, ok := c.session.attachment(f).filter.(Interrupter); ok {
			c.guard(f, func() { i.Interrupt(c) })
		}
	}
	for i := range c.chain {
		if d, ok := c.chain[i].filter.(Detacher); ok {
			c.guard(c.chain[i].owner, d.Detach)
		}
	}
	for i := range c.httpFilters { // even if HTTP was never spoken
		if d, ok := c.httpFilters[i].filter.(Detacher); ok {
			c.guard(c.httpFilters[i].owner, d.Detach)
		}
	}
}

// finalize removes the connection, to which nothing refers any longer.
func (c *Connection) finalize() {
	c.phaseTimer.Stop()
	if p := c.Parent(); p != nil {
		p.secondaries--
	}
	c.fw.sessions.close(c.session, c.listener)
	delete(c.load().connections, c)
	c.listener.ended[c.outcome].Add(c.worker.Index(), 1)
	c.listener.uncount(c.worker)
}

// guard calls a filter. A panic in it is logged and goes no further.
func (c *Connection) guard(f *filter, call func()) {
	defer func() {
		if r := recover(); r != nil {
			c.panicked(f.config.Name, r)
		}
	}()
	call()
}

// timedOut is called when a phase has lasted too long.
func (c *Connection) timedOut() {
	switch c.phase {
	case phaseHandshake:
		c.handshakeTimedOut()
	case phaseConnect:
		c.attempts.cancel()
	case phasePump:
		c.checkLinger()
	case phaseDrain, phaseEnded:
		c.abandon()
	case phaseEvents:
	}
}

// checkLinger ends a connection of which one side has stopped reading and sends nothing
// either.
func (c *Connection) checkLinger() {
	if left := lingerTime - (c.worker.Now() - c.active); left > 0 {
		c.phaseTimer.Reset(left)
		return
	}
	c.end(true)
}

// abandon continues without a filter that keeps holding something of a connection that has
// ended, so that the other filters are told.
func (c *Connection) abandon() {
	c.fw.logger.Error("a filter still holds a connection that has ended", "connection", c.id, "by", c.holder(),
		"event", c.event.Type.String(), "after", c.fw.patience)
	if c.phase == phaseEnded {
		c.phaseTimer.Reset(c.fw.patience)
		_ = c.event.Resume(Pass) // ErrBadContext: nothing is held
		return
	}
	if c.event.held {
		c.event.held = false
		c.unhold()
	}
	for i := range c.flows {
		c.flows[i].abandon()
	}
	c.endStep()
}
