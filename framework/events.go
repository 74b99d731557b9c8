package framework

import (
	"errors"
	"fmt"
	"runtime/debug"

	"fwx/framework/wire/clienthello"
)

// begin starts the life of a connection, on its worker.
func (c *Connection) begin() {
	c.started = c.worker.Now()
	c.phaseTimer = c.worker.NewTimer(c.timedOut)
	c.event.Connection = c
	c.raise(AcceptedConnection)
}

// raise tells the filters an event, one after the other. All filters that want the event are
// attached to the session first, so that a filter after one that denies is still told when the
// connection ends.
func (c *Connection) raise(event EventMask) {
	c.event.Type, c.event.next = event, 0
	for _, f := range c.listener.filters {
		if !c.wantsEvent(f, f.mask) {
			continue
		}
		if err := c.attach(f); err != nil {
			c.fail(ByFilter, fmt.Sprintf("filter %q: attach to session: %v", f.config.Name, err))
			return
		}
	}
	c.dispatch()
}

// dispatch tells the event to the filters that have not been told yet, until one holds or
// denies. After the last one it continues with the connection.
func (c *Connection) dispatch() {
	ev := &c.event
	for ev.next < len(c.listener.filters) {
		f := c.listener.filters[ev.next]
		a := c.session.attachment(f)
		if a.filter == nil || !c.wantsEvent(f, a.mask) {
			ev.next++
			continue
		}
		ev.handler = f.config.Name
		v := c.handle(a.filter)
		if v.kind == verdictHold {
			ev.held, ev.heldSince = true, c.hold()
			return
		}
		if !c.applyVerdict(v) {
			return
		}
		ev.next++
	}
	c.afterEvent()
}

// attach attaches a filter to the session, if this is the first event that the filter wants
// there. A panic in the filter makes the connection fail.
func (c *Connection) attach(f *filter) (err error) {
	defer func() {
		if r := recover(); r != nil {
			c.panicked(f.config.Name, r)
			err = errors.New("it panicked")
		}
	}()
	return c.session.attach(f, c.event.Type)
}

// handle calls an event handler. A panic in it makes the connection fail.
func (c *Connection) handle(sf SessionFilter) (v Verdict) {
	c.handling = true
	defer func() {
		c.handling = false
		if r := recover(); r != nil {
			c.panicked(c.event.handler, r)
			v = Fail("it panicked")
		}
	}()
	return sf.FirewallEventHandler(&c.event)
}

func (c *Connection) panicked(filter string, r any) {
	c.fw.panics.Add(1)
	c.fw.logger.Error("a filter panicked", "filter", filter, "connection", c.id,
		"panic", fmt.Sprint(r), "stack", string(debug.Stack()))
}

// resumeEvent continues with an event after a Hold.
func (c *Connection) resumeEvent(ev *Event, v Verdict) {
	if c.phase == phaseDrain { // the connection ended during the Hold
		c.postEndStep()
		return
	}
	if c.applyVerdict(v) {
		ev.next++
		c.dispatch()
	}
}

// applyVerdict carries out the verdict on an event. It returns false if that ended the
// connection.
func (c *Connection) applyVerdict(v Verdict) bool {
	if c.event.Type == ConnectionTerminating {
		return true // it is too late to deny
	}
	if c.Ended() {
		return false // the handler itself ended the connection
	}
	switch v.kind {
	case verdictPass:
		return true
	case verdictDeny:
		if c.event.Type == ClientHello {
			filter := c.event.handler
			c.refuseHello(clienthello.AccessDenied, func() {
				c.denied(filter, v.reason)
				c.end(false)
			})
			return false
		}
		c.deny(c.event.handler, v.reason)
	case verdictFail:
		c.failedBy(c.event.handler)
		c.fail(ByFilter, fmt.Sprintf("filter %q: %s", c.event.handler, v.reason))
	default:
		c.failedBy(c.event.handler)
		c.fail(ByFilter, fmt.Sprintf("filter %q: verdict %q does not suit an event", c.event.handler, v))
	}
	return false
}

// clientReady continues with a client that has been accepted and, on a listener with TLS,
// has finished the handshake.
func (c *Connection) clientReady() {
	if c.HTTP() { // a server is chosen for each request
		c.raise(ConnectTCP)
		return
	}
	c.chooseServer()
}

// afterEvent continues with the connection once all filters have been told of an event.
func (c *Connection) afterEvent() {
	switch c.event.Type {
	case AcceptedConnection:
		if c.listener.tls != nil && c.origin == nil {
			c.beginTLS()
			return
		}
		c.clientReady()
	case ClientHello:
		c.afterHello()
	case ConnectTCP:
		if c.HTTP() && c.emulation == nil {
			c.emulateHTTP()
		}
		if c.emulation != nil {
			c.attempts.release()
			c.startPump()
			return
		}
		c.phase = phaseConnect
		c.connect()
	case EstablishedConnection:
		c.pump()
	case ConnectionTerminating:
		c.finalize()
	default: // there are no other events
	}
}
