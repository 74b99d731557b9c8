package framework

import (
	"bytes"
	"fmt"
	"time"

	"fwx/framework/completion"
)

// flow is one direction of a connection: it receives a chunk from one side, asks the data
// filters one after the other, sends what they pass to the other side, and only then receives
// again. So a slow receiver, or a filter that holds a chunk, slows down the sender, and
// nothing piles up.
type flow struct {
	c          *Connection
	dir        Direction
	state      flowState
	ended      bool  // the sender has ended the stream
	peerClosed bool  // the receiver has stopped reading
	full       uint8 // how many buffers in a row were received full

	recv *completion.Overlapped // nil: the emulator sends
	send *completion.Overlapped // lent by the worker while a send is in flight

	buffer    *completion.Buffer // received last; kept until it has been sent
	chunk     []byte             // content of the buffer, or what a filter has replaced it with
	checksum  chunkChecksum      // checksum of the chunk while a filter has it
	next      int                // how many filters have passed the chunk
	endTold   int                // how many filters have been told that the stream has ended
	heldSince time.Duration      // when a filter began to hold the chunk, on the worker's clock
	bytes     uint64             // number of bytes received

	pipe *completion.Pipe // holds the chunk while it is spliced

	injected [][]byte // data of filters, sent before the chunk
	waiting  int      // number of bytes in injected
}

type flowState uint8

const (
	flowIdle      flowState = iota
	flowReceiving           // a receive is in flight
	flowAsking              // a filter's Data is running
	flowHeld                // a filter holds the chunk
	flowReady               // the chunk can be sent
	flowSending             // the chunk is being sent
	flowEnding              // the stream has ended; the receiver has not been told yet
	flowEnded               // the receiver has been told that the stream has ended
	flowAbandoned           // the connection has ended while a filter holds the chunk
)

// maxInjected bounds the bytes that filters may inject before the receiver has read them.
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

// from returns the side that the flow comes from, to the side that it goes to; nil: that side
// is the emulator.
func (f *flow) from() stream { return f.c.side(f.dir) }
func (f *flow) to() stream   { return f.c.side(1 - f.dir) }

// received and sent are the flow as the notification of its operations.
type (
	received flow
	sent     flow
)

// CompleteAsyncIO hands what was received to the filters.
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
		f.release() // the pipe
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
		if f.recv == nil && !offered { // otherwise receive has told the emulator
			c.emulation.maySend()
		}
	}
	c.afterCompletion()
}

// begin filters what was received before the flow existed, if anything, or starts to receive.
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

// count counts n received bytes.
func (f *flow) count(n int) {
	f.bytes += uint64(n)
	f.c.listener.bytes[f.dir].Add(f.c.worker.Index(), float64(n))
}

// receive starts to receive the next chunk.
func (f *flow) receive() {
	if f.recv == nil { // the emulator sends when MaySend is called
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

// link returns the filter to ask next: the chain runs from the client to the server, so the
// downstream direction passes it backwards.
func (f *flow) link() *dataLink {
	if f.dir == Upstream {
		return &f.c.chain[f.next]
	}
	return &f.c.chain[len(f.c.chain)-1-f.next]
}

// filter shows the chunk to the filters that have not seen it, and sends the result.
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

// finish tells the filters one after the other that the stream has ended. What a filter has
// kept back passes the filters after it, and is sent, before the next filter is told. The end
// of the stream is sent last.
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

// ask calls a data filter with the chunk, or with the end of the stream if there is no chunk.
// A panic in the filter makes the connection fail.
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

// resume continues after a Hold.
func (f *flow) resume(v Verdict) error {
	switch f.state {
	case flowHeld:
		f.state = flowAsking
		f.c.unhold()
		f.c.active = f.c.worker.Now()
		switch {
		case !f.applyVerdict(f.link(), v):
		case f.ended && f.chunk == nil: // the filter had kept nothing back
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

// abandon gives up a chunk that a filter holds. Its memory stays in use until the filter
// resumes.
func (f *flow) abandon() {
	if f.state == flowHeld {
		f.state = flowAbandoned
		f.c.unhold()
	}
}

// applyVerdict carries out the verdict on the chunk. It returns false if the chunk goes no
// further.
func (f *flow) applyVerdict(l *dataLink, v Verdict) bool {
	name := l.owner.config.Name
	switch {
	case f.c.Ended(): // ended meanwhile, or by the filter itself
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

// drop discards the chunk and receives the next one.
func (f *flow) drop() {
	f.release()
	f.receive()
}

// push sends what is next: injected data, then the chunk if it is ready, and finally the end
// of the stream.
func (f *flow) push() {
	switch {
	case f.send != nil || f.c.Ended():
	case f.peerClosed:
		f.onPeerClosed()
	case len(f.injected) > 0:
		data := f.injected[0]
		f.injected[0] = nil // let the data be collected: the array stays
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

// transmit sends data, or the content of the pipe if data is nil.
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
			f.state = flowIdle // otherwise injected data failed, and the state describes the chunk
		}
		f.c.fail(ByGateway, fmt.Sprintf("%s: send: %v", f.dir, err))
	}
}

// onPeerClosed handles a receiver that has stopped reading. What it has sent before, perhaps
// an early response to a request, is still forwarded in the other direction; then the
// connection ends.
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

// inject queues data that a filter sends.
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

// end forwards the end of the stream. When both directions have ended, so has the connection.
func (f *flow) end() {
	f.state = flowEnded
	if f.other().peerClosed { // this direction was the last one
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

// release releases the receive buffer, unless a filter holds it.
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

// busy reports whether an operation of the flow is in flight, or a filter holds its chunk.
func (f *flow) busy() bool {
	return f.state == flowHeld || f.state == flowAsking || f.send != nil || f.recv != nil && f.recv.InFlight()
}
