package framework

import (
	"bytes"
	"fmt"
	"time"

	"fwx/framework/completion"
)

// flow is one direction of a connection: it receives a chunk on one side, asks
// the data filters one after the other, sends what they let through on the
// other side, and only then receives again. A slow receiver or a filter that
// holds a chunk thereby slows down the sender, and nothing piles up.
type flow struct {
	c          *Connection
	dir        Direction
	state      flowState
	ended      bool  // the sender has ended the stream
	peerClosed bool  // the receiver takes nothing any more
	full       uint8 // buffers in a row that were received full

	recv *completion.Overlapped // nil: the emulator sends
	send *completion.Overlapped // lent by the worker while something is being sent

	buffer    *completion.Buffer // what was received last, until it has been sent
	chunk     []byte             // the buffer's content, or what a filter replaced it by
	checksum  chunkChecksum      // of the chunk, while a filter has it
	next      int                // how many filters have let the chunk pass
	endTold   int                // how many know that the stream has ended
	heldSince time.Duration      // since when a filter keeps the chunk, on the worker's clock
	bytes     uint64             // received

	pipe *completion.Pipe // has the chunk, when it is spliced

	injected [][]byte // by filters, to be sent before the chunk
	waiting  int      // bytes in injected
}

type flowState uint8

const (
	flowIdle      flowState = iota
	flowReceiving           // a receive is in flight
	flowAsking              // a filter's Data runs
	flowHeld                // a filter keeps the chunk
	flowReady               // the chunk may be sent
	flowSending             // it is being sent
	flowEnding              // the stream has ended; the receiver does not know yet
	flowEnded               // it does
	flowAbandoned           // the connection has ended without the filter that keeps the chunk
)

// maxInjected bounds the bytes that filters may inject ahead of the receiver.
const maxInjected = 1 << 20

// open prepares the flow of a connection whose sides are known.
func (f *flow) open(c *Connection, dir Direction) error {
	f.c, f.dir = c, dir
	if f.from() == nil {
		return nil
	}
	f.recv = c.worker.CreateOverlapped()
	return f.recv.SetNotificationInterface((*received)(f), nil)
}

// from returns the side that the flow comes from, and to the one that it goes to;
// nil: it is the emulator.
func (f *flow) from() stream { return f.c.side(f.dir) }
func (f *flow) to() stream   { return f.c.side(1 - f.dir) }

// received and sent are the flow as the notification of its operations.
type (
	received flow
	sent     flow
)

// CompleteAsyncIO takes what was received to the filters.
func (r *received) CompleteAsyncIO(_ bool, bytes int, err error, o *completion.Overlapped, _ any) {
	f := (*flow)(r)
	c := f.c
	f.buffer = o.TakeBuffer()
	switch {
	case c.Ended():
		f.state = flowIdle
	case err != nil:
		f.state = flowIdle
		f.release()
		c.breakOff(f.dir.side(), fmt.Errorf("%s: receive: %w", f.dir, err))
	case bytes == 0:
		f.release() // of the pipe
		f.ended = true
		f.finish()
	default:
		c.active = c.worker.Now()
		f.count(bytes)
		f.countFull(f.buffer)
		f.next = 0
		if f.buffer != nil {
			f.chunk = f.buffer.Bytes()
		}
		f.filter()
	}
	c.afterCompletion()
}

// CompleteAsyncIO receives again after the chunk has been sent.
func (s *sent) CompleteAsyncIO(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
	f := (*flow)(s)
	c := f.c
	f.send = nil
	c.giveBack(o)
	switch {
	case c.Ended():
	case err != nil:
		c.noteError((1 - f.dir).side(), fmt.Errorf("%s: send: %w", f.dir, err))
		f.peerClosed = true
		f.push()
	default:
		c.active = c.worker.Now()
		offered := f.state == flowSending
		if offered {
			f.drop()
		}
		f.push()
		if f.recv == nil && !offered { // otherwise it was told
			c.emulation.maySend()
		}
	}
	c.afterCompletion()
}

// begin takes what was received before there was a flow, if anything was, and
// receives.
func (f *flow) begin() {
	if f.dir == Upstream {
		f.chunk = f.c.takeHello()
	}
	if f.chunk == nil {
		f.receive()
		return
	}
	f.count(len(f.chunk))
	f.filter()
}

// count counts what was received.
func (f *flow) count(n int) {
	f.bytes += uint64(n)
	f.c.listener.bytes[f.dir].Add(f.c.worker.Index(), float64(n))
}

// receive asks for the next chunk.
func (f *flow) receive() {
	if f.recv == nil { // the emulator sends when it is told that it may
		f.state = flowIdle
		f.c.emulation.maySend()
		return
	}
	if f.ended {
		f.finish()
		return
	}
	f.state = flowReceiving
	if f.splice() {
		return
	}
	if err := f.from().Recv(f.recv); err != nil {
		f.state = flowIdle
		f.c.fail(ByGateway, fmt.Sprintf("%s: receive: %v", f.dir, err))
	}
}

// link returns the filter whose turn it is: the chain runs from the client to
// the server, so the other direction goes through it backwards.
func (f *flow) link() *dataLink {
	if f.dir == Upstream {
		return &f.c.chain[f.next]
	}
	return &f.c.chain[len(f.c.chain)-1-f.next]
}

// filter takes the chunk through the filters that have not seen it, and sends
// what comes out.
func (f *flow) filter() {
	for f.next < len(f.c.chain) {
		l := f.link()
		f.state = flowAsking
		v := f.ask(l)
		if v.kind == verdictHold { // also if the filter has ended the connection: it may still use the chunk
			f.state = flowHeld
			f.heldSince = f.c.hold()
			return
		}
		if !f.applyVerdict(l, v) {
			return
		}
	}
	if f.to() == nil { // the last one was the emulator
		f.drop()
		return
	}
	f.state = flowReady
	f.push()
}

// finish tells the filters one after the other that the stream has ended. What
// one of them has kept goes on to those behind it, and is sent, before the next
// is told; the end comes behind all of it.
func (f *flow) finish() {
	for f.endTold < len(f.c.chain) {
		f.next = f.endTold
		f.endTold++
		l := f.link()
		f.state = flowAsking
		v := f.ask(l)
		if v.kind == verdictHold {
			f.state = flowHeld
			return
		}
		if !f.applyVerdict(l, v) {
			return
		}
		if f.chunk != nil {
			f.filter()
			return
		}
	}
	f.state = flowEnding
	f.push()
}

// ask calls a data filter, with the chunk or else the end; a panic in it makes the
// connection fail.
func (f *flow) ask(l *dataLink) (v Verdict) {
	f.checksum = checksumOf(f.chunk)
	defer func() {
		if r := recover(); r != nil {
			f.c.panicked(l.owner.config.Name, r)
			v = Fail("it panicked")
		}
	}()
	if f.ended && f.chunk == nil {
		if e, ok := l.filter.(Ender); ok {
			return e.End(f.c, f.dir)
		}
		return Pass
	}
	return l.filter.Data(f.c, f.dir, f.chunk)
}

// keep moves the chunk out of the receive buffer.
func (f *flow) keep() []byte {
	if f.state == flowAsking && f.buffer != nil {
		f.chunk = bytes.Clone(f.chunk)
		f.buffer.Release()
		f.buffer = nil
	}
	return f.chunk
}

// resume goes on with a chunk after a Hold.
func (f *flow) resume(v Verdict) error {
	switch f.state {
	case flowHeld:
		f.state = flowAsking
		f.c.unhold()
		f.c.active = f.c.worker.Now()
		switch {
		case !f.applyVerdict(f.link(), v):
		case f.ended && f.chunk == nil: // it had kept nothing
			f.finish()
		default:
			f.filter()
		}
		return nil
	case flowAbandoned:
		f.state = flowIdle
		f.release()
		return ErrTerminating
	default:
		return ErrBadContext
	}
}

// abandon leaves the chunk to a filter that does not let go of it. Its memory
// is in use until the filter resumes after all.
func (f *flow) abandon() {
	if f.state == flowHeld {
		f.state = flowAbandoned
		f.c.unhold()
	}
}

// applyVerdict carries out the verdict on the chunk; false if it goes no further.
func (f *flow) applyVerdict(l *dataLink, v Verdict) bool {
	name := l.owner.config.Name
	switch {
	case f.c.Ended(): // meanwhile, or by the filter itself
		f.state = flowIdle
		f.c.postEndStep()
	case f.checksum.changed(f.chunk):
		f.state = flowIdle
		f.release()
		f.c.fail(ByFilter, fmt.Sprintf("filter %q: it has changed the chunk", name))
	case v.kind == verdictPass:
		f.next++
		return true
	case v.kind == verdictReplace && len(v.data) > 0:
		f.next++
		f.chunk = v.data
		return true
	case v.kind == verdictReplace, v.kind == verdictDrop:
		f.drop()
	case v.kind == verdictDeny:
		f.state = flowIdle
		f.release()
		f.c.deny(name, v.reason)
	default:
		f.state = flowIdle
		f.release()
		f.c.failedBy(name)
		f.c.fail(ByFilter, fmt.Sprintf("filter %q: %s", name, v.reason))
	}
	return false
}

// drop ends the chunk here and goes on behind it.
func (f *flow) drop() {
	f.release()
	f.receive()
}

// push sends what is next: what filters injected, then the chunk if it is
// ready, and at the end of the stream the end.
func (f *flow) push() {
	switch {
	case f.send != nil || f.c.Ended():
	case f.peerClosed:
		f.onPeerClosed()
	case len(f.injected) > 0:
		data := f.injected[0]
		f.injected[0] = nil // the array lives on
		f.injected = f.injected[1:]
		f.waiting -= len(data)
		f.transmit(data)
	case f.state == flowReady:
		f.state = flowSending
		f.transmit(f.chunk)
	case f.state == flowEnding:
		f.end()
	}
}

// transmit sends data, or without any what is in the pipe.
func (f *flow) transmit(data []byte) {
	o, err := f.c.lend((*sent)(f))
	switch {
	case err != nil:
	case data == nil:
		err = f.to().(*completion.Socket).SpliceOut(o, f.pipe) //nolint:forcetypeassert // splice has looked
	default:
		err = f.to().Send(o, data)
	}
	if err == nil {
		f.send = o
	} else {
		f.c.giveBack(o)
		if f.state == flowSending {
			f.state = flowIdle // otherwise it is an injected one that failed, and the state is that of the chunk
		}
		f.c.fail(ByGateway, fmt.Sprintf("%s: send: %v", f.dir, err))
	}
}

// onPeerClosed deals with a receiver that takes nothing any more. What it has sent
// before that, an early answer to a request perhaps, still goes the other way;
// the connection ends behind it.
func (f *flow) onPeerClosed() {
	f.injected, f.waiting = nil, 0
	switch f.state { //nolint:exhaustive // in all others the chunk is on its way here
	case flowReady, flowSending, flowEnding:
		f.release()
		f.state = flowEnded
	}
	if other := f.other(); other.peerClosed || other.state == flowEnded {
		f.c.end(true)
		return
	}
	f.c.phaseTimer.Reset(lingerTime)
}

// lingerTime bounds how long the gateway lingers before it ends a connection: a client
// has so long to read the end of its stream, and a side that has stopped reading may be
// silent for so long.
const lingerTime = 2 * time.Second

// other returns the other direction.
func (f *flow) other() *flow { return &f.c.flows[1-f.dir] }

// inject queues data of a filter.
func (f *flow) inject(data []byte) error {
	switch {
	case f.state == flowEnded || f.peerClosed:
		return ErrTerminating
	case f.waiting+len(data) > maxInjected:
		return ErrQueueFull
	case len(data) > 0:
		f.injected = append(f.injected, data)
		f.waiting += len(data)
		f.push()
	}
	return nil
}

// end carries the end of the stream to the other side. When both directions
// have ended, so has the connection.
func (f *flow) end() {
	f.state = flowEnded
	if f.other().peerClosed { // and this was all that was left
		f.c.end(true)
		return
	}
	if to := f.to(); to == nil {
		f.c.emulation.end()
	} else if err := to.CloseSend(); err != nil {
		f.c.noteError((1 - f.dir).side(), fmt.Errorf("%s: shutdown: %w", f.dir, err))
		f.peerClosed = true
		f.onPeerClosed()
		return
	}
	if f.other().state == flowEnded {
		f.c.end(false)
	}
}

// release gives the receive buffer back, unless a filter has it.
func (f *flow) release() {
	if f.state == flowAbandoned {
		return
	}
	if f.buffer != nil {
		f.buffer.Release()
	}
	if f.pipe != nil {
		f.pipe.Release()
	}
	f.buffer, f.chunk, f.pipe = nil, nil, nil
}

// busy reports whether something of the flow is in flight or held.
func (f *flow) busy() bool {
	return f.state == flowHeld || f.state == flowAsking || f.send != nil || f.recv != nil && f.recv.InFlight()
}
