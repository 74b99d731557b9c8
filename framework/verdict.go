package framework

// Verdict is a filter's answer to an event or a chunk. The zero value is Pass.
type Verdict struct {
	kind   verdictKind
	data   []byte
	reason string
	answer *answer
}

type verdictKind uint8

const (
	verdictPass verdictKind = iota
	verdictReplace
	verdictDrop
	verdictDeny
	verdictHold
	verdictFail
	verdictAnswer
)

var (
	// Pass lets the event happen or the chunk go on.
	Pass = Verdict{}
	// Drop swallows a chunk; the stream goes on behind it.
	Drop = Verdict{kind: verdictDrop}
	// Hold defers the answer: the connection (for an event) or its direction
	// (for a chunk) waits for Event.Resume or Connection.Resume.
	Hold = Verdict{kind: verdictHold}
)

// Replace sends data instead of the chunk. The data belongs to the framework
// from then on and must not change; the filters behind see it as their chunk.
func Replace(data []byte) Verdict { return Verdict{kind: verdictReplace, data: data} }

// Deny refuses the connection: the client sees it reset. The reason goes to
// the log and to Connection.Reason.
func Deny(reason string) Verdict { return Verdict{kind: verdictDeny, reason: reason} }

// Fail ends the connection because the filter itself has failed. Unlike a
// denial it is logged as a warning, and the outcome is Failed.
func Fail(reason string) Verdict { return Verdict{kind: verdictFail, reason: reason} }

// String names the verdict for logs.
func (v Verdict) String() string {
	switch v.kind {
	case verdictPass:
		return "pass"
	case verdictReplace:
		return "replace"
	case verdictDrop:
		return "drop"
	case verdictDeny:
		return "deny"
	case verdictHold:
		return "hold"
	case verdictFail:
		return "fail"
	case verdictAnswer:
		return "answer"
	}
	return "unknown"
}

// Direction is the way that bytes go.
type Direction uint8

// The directions of a connection.
const (
	Upstream   Direction = iota // client to server
	Downstream                  // server to client
)

// String returns "upstream" or "downstream".
func (d Direction) String() string {
	if d == Upstream {
		return "upstream"
	}
	return "downstream"
}
