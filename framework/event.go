package framework

// EventMask is a set of event types, with the bits of the SDK's
// FwxFilterHookEvents.dwGlobalEvents.
type EventMask uint32

// The event types.
const (
	// ConnectTCP: a client's connection is about to be connected to a server
	// (fwx_Connect_Tcp). Connection.Server is known; should it not answer, another
	// server of the same upstream is taken without asking again. Data filters may
	// be attached.
	ConnectTCP EventMask = 0x001
	// AcceptedConnection: a client has connected to a listener
	// (fwx_AcceptedConnection). No server has been chosen yet. Data filters may be attached.
	AcceptedConnection EventMask = 0x020
	// ConnectionTerminating: a connection has ended (fwx_ConnectionTerminating).
	// It comes once for each connection to every filter attached to the
	// session, whatever the end was. It never causes an attach and cannot be denied.
	ConnectionTerminating EventMask = 0x100
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
	}
	return "events"
}

// Event is something that a session filter is told (FwxFirewallEvent).
type Event struct {
	// Type is one of the event types.
	Type EventMask
	// Connection is the connection that it concerns.
	Connection *Connection

	next    int    // the session filter whose turn it is
	held    bool   // a handler answered Hold
	handler string // name of the filter whose handler runs or holds
}

// Resume gives the verdict that a handler deferred by Hold. It must be called
// on the connection's worker, after the handler has returned. When nothing is
// held it is ErrBadContext. The filters whose turn it is then are called before
// it returns.
func (ev *Event) Resume(v Verdict) error {
	if !ev.held || v.kind == verdictHold {
		return ErrBadContext
	}
	ev.held = false
	ev.Connection.eventVerdict(ev, v)
	return nil
}
