package framework

import "fwx/framework/completion"

// A secondary connection is one that was expected (see Connection.Expect). It lives on its
// parent's worker, belongs to its session, and has its listener's filters.

// Parent returns the connection whose filter expected this one; nil for a primary connection.
// The parent may have ended.
func (c *Connection) Parent() *Connection {
	if c.origin == nil {
		return nil
	}
	return c.origin.parent
}

// Expected returns what Connection.Expect returned for this connection; nil for a
// primary connection.
func (c *Connection) Expected() *Expected { return c.origin }

// inward reports whether the server has connected, and the client is to be connected.
func (c *Connection) inward() bool { return c.origin != nil && c.origin.dir == Downstream }

// setPeer sets the side that has connected.
func (c *Connection) setPeer(socket *completion.Socket) {
	client := socket.RemoteAddress().Addr()
	if c.inward() {
		c.client, c.server, c.external = c.origin.to, socket.RemoteAddress(), socket
	} else {
		c.client, c.internal = socket.RemoteAddress(), socket
	}
	if p := c.Parent(); p != nil {
		p.secondaries++
		client = p.session.client
	}
	c.session = c.fw.sessions.open(c.listener, client)
}

// setConnected sets the side that the gateway has connected to.
func (c *Connection) setConnected(side stream) {
	if c.inward() {
		c.internal = side
	} else {
		c.external = side
	}
}

// startPump continues when both sides are connected: the filter that expected the connection
// is told, and then the data flows.
func (c *Connection) startPump() {
	if c.origin == nil {
		c.pump()
		return
	}
	c.phase = phaseEvents
	c.phaseTimer.Stop()
	c.raise(EstablishedConnection)
}

// wantsEvent reports whether a filter with a mask is told the event. A filter is told of
// secondary connections if its mask asks for all connections. The filter that expected the
// connection is told that it is established, and that it has ended.
func (c *Connection) wantsEvent(f *filter, mask EventMask) bool {
	event := c.event.Type
	wanted := mask&event != 0
	switch {
	case c.origin == nil:
		return wanted
	case event == EstablishedConnection:
		return f == c.origin.requester
	case event == ConnectionTerminating && f == c.origin.requester:
		return wanted
	default:
		return wanted && mask&AssociatedProtocolsAllConnections != 0
	}
}
