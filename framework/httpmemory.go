package framework

import (
	"errors"

	"fwx/framework/wire/coding"
)

// What exchanges keep in memory, and is not a receive buffer or what is on its way, is
// counted for each worker: whole bodies, decoders, messages of WebSockets, pieces of
// files. Beyond the bound it is the exchange that wants more which is refused: the others
// may be about to end.

// errMemory refuses an exchange for which there is no memory left.
var errMemory = errors.New("the worker's body_memory is used up")

// claim counts that an exchange keeps so many bytes more, or fewer; false if there is no
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

// unclaim is for the end of an exchange.
func (x *Exchange) unclaim() {
	x.h.w.claimed -= int64(x.claimed)
	x.claimed = 0
}

// claimForDecoder is claim for a decoder that is about to take memory.
func (x *Exchange) claimForDecoder(bytes int) error {
	if !x.claim(bytes) {
		return coding.ErrNoMemory
	}
	return nil
}

// claimMessages counts what the messages of a WebSocket take that are not complete, are
// held by a filter or have not been taken by their receiver; false if there is no room.
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
