package framework

import (
	"context"
	"crypto/sha256"
	"os"
)

// Filter is a filter of the service (IFWXFilter). One object serves all
// sessions; its methods are called on any worker, and from FilterInit's return
// on by several at a time.
type Filter interface {
	// FilterInit makes the filter ready and returns the events it wants to
	// see. It runs on a goroutine of its own before the first connection is
	// accepted and may block. An error refuses the start of the service, or the
	// new configuration; a filter that can be done without returns no events instead.
	FilterInit(fw *Firewall) (EventMask, error)
	// AttachToSession returns the filter's object for a session. It is called
	// once for each session, on the first event that matches the mask. The
	// mask may be changed for this session. An error makes the connection fail.
	AttachToSession(s *Session, mask *EventMask) (SessionFilter, error)
}

// SessionFilter is a filter's object for one session (IFWXSessionFilter).
// Connections of one client may live on different workers, so it may be
// called by several at a time, for different connections.
type SessionFilter interface {
	// FirewallEventHandler is told an event and answers Pass, Deny or Hold.
	// Only in here may data filters be attached. The event is valid until the
	// verdict has been given.
	FirewallEventHandler(ev *Event) Verdict
}

// DataFilter sees the data of one connection (IFWXDataFilter). Everything for
// one connection is called on its worker, one call at a time.
type DataFilter interface {
	// Data is given a chunk and answers with any verdict. The chunk must not be
	// changed, which the race detector's build checks, and is valid until the verdict has been given, after a Hold too.
	Data(c *Connection, dir Direction, chunk []byte) Verdict
}

// Ender is a data filter that wants to know when the stream in a direction has
// ended, as one does that keeps a part of what it was given. What it answers with
// Replace goes on before the end; Pass and Drop say that there is nothing. It is
// told once for each direction, unless the connection ends first.
type Ender interface {
	End(c *Connection, dir Direction) Verdict
}

// Detacher is a session or data filter that wants to know when its session or
// connection ends. A data filter that holds a chunk must still resume it.
type Detacher interface{ Detach() }

// Interrupter is a session filter that wants to know when a connection ends
// while it holds one of its events. It must still resume the event.
type Interrupter interface{ Interrupt(c *Connection) }

// FilterShutdowner is a filter that has something to end with the service
// (IFWXFilter::FilterShutdown). It is called after the last connection, on a
// goroutine of its own, also when FilterInit has failed. Its context lasts 60
// seconds; Firewall.UpdateServiceStatus prolongs it.
type FilterShutdowner interface {
	FilterShutdown(ctx context.Context) error
}

// Retirer is a filter that wants to know when it is replaced: a Reload has made
// another one for new connections. Reload waits for it, so it should not wait. The
// filter goes on with the connections that it sees; FilterShutdown is called when the
// last of them has ended.
type Retirer interface{ Retire() }

// Reopener is a filter that keeps files open which somebody else may rename or remove,
// such as logs. Reopen is called by Firewall.Reopen, on its goroutine, and should not wait:
// the filter looks whether its names still stand for what it has open, and opens anew
// what they do not.
type Reopener interface{ Reopen() }

// Checker is a filter that can tell whether it would start. Check is called by
// Firewall.Check, on its goroutine, of a filter whose FilterInit was not called. It returns
// what that would return, and changes nothing outside the program.
type Checker interface {
	Check(ctx context.Context) error
}

// FileUser is a filter that is made from files. Reload makes it anew when one of them
// has changed.
type FileUser interface {
	// Files returns the files that have been read so far. It may be called at any time.
	Files() []File
}

// File is a file that a filter has read.
type File struct {
	Path string
	Sum  [sha256.Size]byte // of what was read; zero: it could not be
}

// changed reports whether the file is not what it was.
func (f File) changed() bool {
	content, err := os.ReadFile(f.Path)
	if err != nil {
		return f.Sum != [sha256.Size]byte{}
	}
	return sha256.Sum256(content) != f.Sum
}

// PriorityClass is the place of a data filter in the chain
// (FwxDataFilterPriorityClass): the first is nearest to the client, which it
// sees first in the upstream direction and last in the other. Inside a class
// the order is that of the listener's filters.
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
