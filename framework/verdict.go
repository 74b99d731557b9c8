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
	// Pass lets the event happen, or forwards the chunk.
	Pass = Verdict{}
	// Drop discards a chunk; the stream continues after it.
	Drop = Verdict{kind: verdictDrop}
	// Hold defers the answer: the connection (for an event) or its direction (for a chunk)
	// waits for Event.Resume or Connection.Resume.
	Hold = Verdict{kind: verdictHold}
)

// Replace sends data instead of the chunk. The data then belongs to the framework and must not
// be changed. The remaining filters see it as their chunk.
func Replace(data []byte) Verdict { return Verdict{kind: verdictReplace, data: data} }

// Deny refuses the connection, which the client sees reset. The reason is logged and returned
// by Connection.Reason.
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

// Direction is the way in which bytes flow.
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
