package framework

// endTask is a connection as the task that settles its end.
type endTask Connection

// deny ends the connection because a filter refused it.
func (c *Connection) deny(filter, reason string) {
	c.denied(filter, reason)
	c.end(true)
}

// denied notes and logs a denial.
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

// failed notes and logs an error.
func (c *Connection) failed(by EndedBy, reason string) {
	if c.outcome == Passed {
		c.outcome, c.by, c.reason = Failed, by, reason
	}
	c.fw.logger.Warn("connection failed", "connection", c.id, "client", c.client.String(),
		"listener", c.Listener(), "reason", reason, "by", by.String())
}

// breakOff ends the connection because one side broke it off, and lets the other
// see the same.
func (c *Connection) breakOff(by EndedBy, err error) {
	c.noteError(by, err)
	c.end(true)
}

// noteError notes the first error that the connection met.
func (c *Connection) noteError(by EndedBy, err error) {
	if c.outcome == Passed {
		c.outcome, c.by, c.reason = Failed, by, err.Error()
	}
}

// noteEnd notes who ends a connection with which nothing is wrong, and why.
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

// end closes both sides. The rest waits for what is in flight on them, and for
// whoever has called.
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

// postEndStep queues the next step of the end. It comes as a task, so that no filter
// is told of an end in the midst of one of its own calls.
func (c *Connection) postEndStep() {
	if err := c.worker.PostTaskCompletion((*endTask)(c), nil); err != nil {
		c.endStep() // the port is closed: it is the worker that calls
	}
}

// afterCompletion takes the next step of the end, if it has come to that. Only a
// completion does so, at its own end: no filter is being called then.
func (c *Connection) afterCompletion() {
	if c.phase == phaseDrain {
		c.endStep()
	}
}

// CompleteTask takes the next step of the end.
func (s *endTask) CompleteTask(any) { (*Connection)(s).endStep() }

// endStep tells the data filters of the end, and goes on when everything of the
// connection has come back: the operations on its sockets, and the chunks and
// events that filters hold.
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

// busy reports whether something of the connection is in flight or held.
func (c *Connection) busy() bool {
	return c.handling || c.event.held || c.handshake.busy() || c.attempts.inFlight() || c.flows[Upstream].busy() || c.flows[Downstream].busy()
}

// detach tells the filters that hold something once that the connection has ended.
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
	for i := range c.httpFilters { // also of a connection on which no HTTP was spoken in the end
		if d, ok := c.httpFilters[i].filter.(Detacher); ok {
			c.guard(c.httpFilters[i].owner, d.Detach)
		}
	}
}

// finalize is the end: nothing refers to the connection any more.
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

// guard calls a filter; a panic in it is logged and ends there.
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

// checkLinger ends a connection of which one side takes nothing any more and says
// nothing either.
func (c *Connection) checkLinger() {
	if left := lingerTime - (c.worker.Now() - c.active); left > 0 {
		c.phaseTimer.Reset(left)
		return
	}
	c.end(true)
}

// abandon goes on without a filter that does not let go of a connection that
// has ended: the others must be told all the same.
func (c *Connection) abandon() {
	c.fw.logger.Error("a connection that has ended is kept", "connection", c.id, "by", c.holder(),
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
