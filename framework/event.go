package framework

import "time"

// EventMask is a set of event types, with the bits of the SDK's
// FwxFilterHookEvents.dwGlobalEvents.
type EventMask uint32

// The event types.
const (
	// ConnectTCP: a client's connection is about to be connected to a server
	// (fwx_Connect_Tcp). Connection.Server is set, unless no server is available. If the
	// server does not answer, another server of the same upstream is tried without another
	// event. Data filters may be attached.
	ConnectTCP EventMask = 0x001
	// AcceptedConnection: a client has connected to a listener
	// (fwx_AcceptedConnection). No server has been chosen yet. Data filters may be attached.
	AcceptedConnection EventMask = 0x020
	// ConnectionTerminating: a connection has ended (fwx_ConnectionTerminating). It is raised
	// once for each connection, for every filter attached to the session, no matter how the
	// connection ended. It never attaches a filter and cannot be denied.
	ConnectionTerminating EventMask = 0x100
	// EstablishedConnection: a connection that was expected is established, and its data will
	// flow (fwx_EstablishedConnection). Only the filter named by Expectation.Filter is told,
	// no matter what its mask is. Data filters may be attached.
	EstablishedConnection EventMask = 0x200
	// ClientHello: a client has begun TLS on a listener with TLS. It is raised after
	// AcceptedConnection, before the handshake and before a server is chosen; Connection.TLS
	// says what the client offers. The handler may call Connection.SetTLSMode and
	// SetUpstream. If it denies, the client is sent an alert. The SDK has no such event.
	ClientHello EventMask = 0x00010000
	// AssociatedProtocolsAllConnections in a mask asks for the events of secondary
	// connections, too (fwxAssociatedProtocolsAllConnections). Without it a filter is only
	// told those of primary connections.
	AssociatedProtocolsAllConnections EventMask = 0x02000000
)

// String names a single event type for logs.
func (m EventMask) String() string {
	switch m {
	case ConnectTCP:
		return "connect"
	case AcceptedConnection:
		return "accepted"
	case ConnectionTerminating:
		return "terminating"
	case EstablishedConnection:
		return "established"
	case ClientHello:
		return "client hello"
	default:
		return "events"
	}
}

// Event is what a session filter is told (FwxFirewallEvent).
type Event struct {
	// Type is one of the event types.
	Type EventMask
	held bool // a handler answered Hold

	// Connection is the connection concerned.
	Connection *Connection

	next      int           // index of the session filter to tell next
	heldSince time.Duration // when a handler answered Hold, on the worker's clock
	handler   string        // name of the filter whose handler runs or holds
}

// Resume gives the verdict that a handler deferred by Hold. It must be called on the
// connection's worker, after the handler has returned. It returns ErrBadContext if the event
// is not held. The remaining filters are called before it returns.
func (ev *Event) Resume(v Verdict) error {
	if !ev.held || v.kind == verdictHold {
		return ErrBadContext
	}
	ev.held = false
	ev.Connection.unhold()
	ev.Connection.resumeEvent(ev, v)
	return nil
}
