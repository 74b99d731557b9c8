package framework

import (
	"errors"

	"fwx/framework/wire/coding"
)

// The memory that exchanges use, apart from receive buffers and data being sent, is counted
// for each worker: whole bodies, decoders, messages of WebSockets, pieces of files. When the
// limit is reached, the exchange that asks for more is refused, since others may be about to
// end.

// errMemory says why an exchange was refused memory.
var errMemory = errors.New("the worker's body_memory is used up")

// claim counts bytes more that an exchange keeps, or fewer. It returns false if there is no
// room for them.
func (x *Exchange) claim(bytes int) bool {
	w := x.h.w
	if bytes > 0 && w.claimed+int64(bytes) > int64(w.fw.current.Load().config.Service.BodyMemory) {
		x.h.c.listener.httpMemoryRefused.Add(w.worker.Index(), 1)
		return false
	}
	w.claimed += int64(bytes)
	x.claimed += bytes
	return true
}

// unclaim releases everything that the exchange has claimed, at its end.
func (x *Exchange) unclaim() {
	x.h.w.claimed -= int64(x.claimed)
	x.claimed = 0
}

// claimForDecoder claims memory for a decoder.
func (x *Exchange) claimForDecoder(bytes int) error {
	if !x.claim(bytes) {
		return coding.ErrNoMemory
	}
	return nil
}

// claimMessages counts the memory of a WebSocket's messages that are incomplete, held by a
// filter or not yet sent. It returns false if there is no room for them.
func (x *Exchange) claimMessages() bool {
	bytes := len(x.h.out) + len(x.h.inFlight)
	if s := x.server; s != nil {
		bytes += len(s.out) + len(s.inFlight)
	}
	for dir := range x.websocket.flows {
		r := x.websocket.flows[dir].reader
		if !x.filterPass(Direction(dir)).held {
			r.Forget()
		}
		bytes += r.Held()
	}
	return x.claim(bytes - x.claimed)
}
