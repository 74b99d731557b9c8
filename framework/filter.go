package framework

import (
	"context"

	"fwx/framework/internal/files"
)

// Filter is a filter of the service (IFWXFilter). One object serves all sessions. Its methods
// are called on any worker, and once FilterInit has returned, by several workers at a time.
type Filter interface {
	// FilterInit makes the filter ready and returns the events that it wants. It runs on a
	// goroutine of its own before the first connection is accepted, and may block. If it
	// returns an error, the service does not start, or the new configuration is refused. A
	// filter that is optional returns no events instead.
	FilterInit(fw *Firewall) (EventMask, error)
	// AttachToSession returns the filter's object for a session. It is called once for each
	// session, on the first event that matches the mask. It may change the mask for this
	// session. An error makes the connection fail.
	AttachToSession(s *Session, mask *EventMask) (SessionFilter, error)
}

// SessionFilter is a filter's object for one session (IFWXSessionFilter). The connections of a
// client may live on different workers, so several workers may call it at a time, for
// different connections.
type SessionFilter interface {
	// FirewallEventHandler is called with an event and answers Pass, Deny or Hold. Data
	// filters can only be attached while it runs. The event is valid until the verdict has
	// been given.
	FirewallEventHandler(ev *Event) Verdict
}

// DataFilter sees the data of one connection (IFWXDataFilter). Everything for one connection
// is called on its worker, one call at a time.
type DataFilter interface {
	// Data is called with a chunk and answers with any verdict. The chunk must not be
	// changed, which programs built with the race detector check. It is valid until the
	// verdict has been given, also after a Hold.
	Data(c *Connection, dir Direction, chunk []byte) Verdict
}

// Ender is a data filter that wants to know when the stream in a direction has ended, because
// it keeps back a part of what it was given. What it answers with Replace is sent before the
// end; Pass and Drop mean that there is nothing to send. It is called once for each direction,
// unless the connection ends first.
type Ender interface {
	End(c *Connection, dir Direction) Verdict
}

// Detacher is a session or data filter that wants to know when its session or
// connection ends. A data filter that holds a chunk must still resume it.
type Detacher interface{ Detach() }

// Interrupter is a session filter that wants to know when a connection ends
// while it holds one of its events. It must still resume the event.
type Interrupter interface{ Interrupt(c *Connection) }

// FilterShutdowner is a filter that must do something when the service ends
// (IFWXFilter::FilterShutdown). FilterShutdown is called after the last connection has ended,
// on a goroutine of its own, even if FilterInit has failed. Its context lasts 60 seconds;
// Firewall.UpdateServiceStatus prolongs it.
type FilterShutdowner interface {
	FilterShutdown(ctx context.Context) error
}

// Retirer is a filter that wants to know when it is replaced: a Reload has made another filter
// for new connections. Reload waits for Retire to return, so it should not block. The filter
// continues with the connections that it sees; FilterShutdown is called when the last of them
// has ended.
type Retirer interface{ Retire() }

// Reopener is a filter that keeps files open, such as logs, which another program may rename
// or remove. Firewall.Reopen calls Reopen on its own goroutine, so it should not block: the
// filter checks whether the names still refer to its open files, and opens those again that do
// not.
type Reopener interface{ Reopen() }

// Checker is a filter that can tell whether it would start. Firewall.Check calls Check on its
// own goroutine, if FilterInit has not been called. Check returns the error that FilterInit
// would return, and changes nothing outside the program.
type Checker interface {
	Check(ctx context.Context) error
}

// FileUser is a filter that is made from files. Reload makes it again if one of them has
// changed.
type FileUser interface {
	// Files returns the files that have been read so far. It may be called at any time.
	Files() []File
}

// File is a file that a filter has read: its path, and the hash of what was read.
type File = files.File

// PriorityClass is the place of a data filter in the chain (FwxDataFilterPriorityClass). The
// first class is nearest to the client: it sees data first in the upstream direction, and last
// in the other. Within a class the order is that of the listener's filters.
type PriorityClass uint8

// The priority classes, from the client to the server.
const (
	ClassNAT PriorityClass = iota
	ClassInternal
	ClassPostTrust
	ClassMiddle
	ClassPreTrust
	ClassExternal
	ClassEmulation
)

var classNames = [...]string{"nat", "internal", "post-trust", "middle", "pre-trust", "external", "emulation"}

// String returns the name that the configuration uses.
func (c PriorityClass) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return "unknown"
}

// UnmarshalText parses the name of a class.
func (c *PriorityClass) UnmarshalText(text []byte) error {
	for i, name := range classNames {
		if name == string(text) {
			*c = PriorityClass(i)
			return nil
		}
	}
	return &UnknownNameError{What: "priority class", Name: string(text), Known: classNames[:]}
}
