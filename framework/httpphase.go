package framework

import "fmt"

// exchangePhase is how far a message of an exchange, its request or its response, has progressed. What
// may be done with a message is decided by its phase alone, see calls.
//
//	request:  awaited -> head -> [gathered ->] body -> end -> complete
//	response: awaited -> head -> [gathered ->] body -> end -> complete
//
// Both are in phaseTunnel or phaseMessages once the connection has been upgraded, and in
// phaseOver when the exchange is over. A message without a body skips phaseBody.
type exchangePhase uint8

const (
	// phaseAwaited: the head has not arrived.
	phaseAwaited exchangePhase = iota
	// phaseHead: the filters are being asked about the head, one after the other.
	phaseHead
	// phaseGathered: the head is held back while the body is gathered, in memory or on disk,
	// and while the filters are asked about the whole body.
	phaseGathered
	// phaseBody: the head has been forwarded or given up, and the body follows.
	phaseBody
	// phaseEnd: the whole body has arrived, but has not all been forwarded.
	phaseEnd
	// phaseComplete: the whole message has been forwarded.
	phaseComplete
	// phaseTunnel: the connection has been upgraded, and filters do not see its data.
	phaseTunnel
	// phaseMessages: the connection is a WebSocket whose messages the filters see.
	phaseMessages
	// phaseDone: the exchange has ended.
	phaseDone
)

// String returns the name of the phase.
func (p exchangePhase) String() string {
	return [...]string{"awaited", "head", "gathered", "body", "end", "complete", "tunnel", "messages", "over"}[p]
}

// phase returns how far the message of a direction has come.
func (x *Exchange) phase(dir Direction) exchangePhase {
	awaited, kept, gathered, complete, body := x.requestState == requestHead, !x.committed, x.requestState == requestBody,
		x.requestState == requestComplete, &x.requestBody
	if dir == Downstream {
		awaited, kept, gathered, complete, body = x.responseState == responseHead, !x.responseBegun(), x.responseState == responseContent,
			x.responseState == responseComplete || x.file != nil, &x.responseBody
	}
	switch {
	case x.done:
		return phaseDone
	case x.websocket != nil:
		return phaseMessages
	case x.tunnel:
		return phaseTunnel
	case awaited:
		return phaseAwaited
	case complete:
		return phaseComplete
	case kept && gathered:
		return phaseGathered
	case kept:
		return phaseHead
	case body.Done():
		return phaseEnd
	}
	return phaseBody
}

// call is something that a filter can do with a message of an exchange.
type call uint8

const (
	callHead    call = iota // change the head: method, path, host, status, fields
	callRoute               // SetUpstream
	callWhole               // WholeBody
	callDecode              // DecodeBody
	callTrailer             // change the trailer fields
	callAnswer              // Answer and AnswerFile; the message is the response
)

// calls says in which phases of a message a call has an effect. In all other phases the call
// is refused with an error that says until when it is possible.
var calls = [...]struct {
	phases  phases
	refusal error
}{
	callHead:    {in(phaseHead, phaseGathered), tooLate("a head can be changed until it is forwarded: when a filter is told of it, or is given its whole body")},
	callRoute:   {in(phaseHead, phaseGathered), tooLate("the upstream can be set until the request is forwarded: when a filter is told of its head, or is given its whole body")},
	callWhole:   {in(phaseHead), tooLate("a whole body can be asked for when a filter is told of the message's head")},
	callDecode:  {in(phaseHead), tooLate("a body can be decoded when a filter is told of the message's head")},
	callTrailer: {in(phaseEnd), tooLate("trailers can be changed when the handler is given the end of the body, unless it was gathered: then none are sent")},
	callAnswer:  {in(phaseAwaited, phaseHead, phaseGathered), tooLate("a request can be answered until its response has begun")},
}

// phases is a set of phases.
type phases uint16

func in(list ...exchangePhase) (set phases) {
	for _, p := range list {
		set |= 1 << p
	}
	return set
}

func (s phases) has(p exchangePhase) bool { return s&(1<<p) != 0 }

func tooLate(until string) error { return fmt.Errorf("%w: %s", ErrBadContext, until) }

// may returns nil if a call has an effect on the message of a direction now, and otherwise an
// error that wraps ErrBadContext.
func (x *Exchange) may(c call, dir Direction) error {
	if rule := &calls[c]; !rule.phases.has(x.phase(dir)) {
		return rule.refusal
	}
	return nil
}
