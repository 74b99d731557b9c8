package framework

import (
	"errors"

	"fwx/framework/completion"
)

// Emulator plays the server of a connection: no server is connected, and what the client sends
// is given to the emulator through the connection's data filters. It answers by
// Connection.Send in the Downstream direction, which bypasses the filters, and ends its answer
// by Connection.CloseSend. It may also be a Detacher. Everything for one connection is called
// on its worker, one call at a time.
type Emulator interface {
	// Data is called with a chunk. Pass means that the emulator has consumed it. After a Hold
	// nothing more is received until Connection.Resume in the Upstream direction. The chunk
	// is valid until the verdict has been given.
	Data(c *Connection, chunk []byte) Verdict
	// End is called when the client has ended its stream. The connection stays open until
	// Connection.CloseSend.
	End(c *Connection)
}

// Sender is an emulator that wants to know when it may send: first when the connection is
// established, and then each time everything it has sent has been handed to the kernel. After
// ErrQueueFull it continues from there.
type Sender interface{ MaySend(c *Connection) }

// classEmulator places the emulator after all data filters.
const classEmulator PriorityClass = 255

// emulation is the emulator of a connection, the last link of its chain.
type emulation struct {
	c        *Connection
	emulator Emulator
	owner    *filter
}

// Emulate makes an emulator play the server (IFWXConnection::EmulateForConnect). It may be
// called in the handler of ConnectTCP. Anywhere else, and for a connection that comes from the
// server, it returns ErrBadContext; a second call returns ErrAlreadyEmulated.
// Connection.Server is then the zero Address, and Connection.Bytes counts what the emulator
// sends as downstream.
func (c *Connection) Emulate(e Emulator) error {
	switch {
	case c.Ended():
		return ErrTerminating
	case !c.handling || c.event.Type != ConnectTCP:
		return ErrBadContext
	case c.external != nil: // a server has connected
		return ErrBadContext
	case c.emulation != nil:
		return ErrAlreadyEmulated
	case e == nil:
		return errors.New("emulation by a nil emulator")
	}
	owner := c.listener.filters[c.event.next]
	c.emulation = &emulation{c: c, emulator: e, owner: owner}
	c.chain = append(c.chain, dataLink{filter: c.emulation, owner: owner, class: classEmulator})
	c.server = completion.Address{}
	return nil
}

// CloseSend ends the stream to the client of an emulated connection, after what has been sent.
// Once the client has ended its stream too, the connection has ended. It returns ErrBadContext
// if there is no emulator or the connection is not established, and ErrTerminating if it was
// called before.
func (c *Connection) CloseSend() error {
	f := &c.flows[Downstream]
	switch {
	case c.Ended():
		return ErrTerminating
	case c.emulation == nil || c.phase != phasePump:
		return ErrBadContext
	case f.state != flowIdle || f.peerClosed:
		return ErrTerminating
	}
	f.state = flowEnding
	f.push()
	return nil
}

// send is Connection.Send on an emulated connection.
func (e *emulation) send(dir Direction, data []byte) error {
	f := &e.c.flows[dir]
	switch {
	case dir == Upstream: // there is no server
		return ErrBadContext
	case f.state != flowIdle:
		return ErrTerminating
	}
	err := f.inject(data)
	if err == nil {
		f.bytes += uint64(len(data))
	}
	return err
}

// offer sends data to the client through the data filters, when no other data is being sent:
// MaySend is called when the data has been sent or dropped. The buffer, if there is one,
// contains the data, and is released then.
func (e *emulation) offer(data []byte, b *completion.Buffer) {
	f := &e.c.flows[Downstream]
	f.bytes += uint64(len(data))
	f.chunk, f.buffer, f.next = data, b, 1 // start after the emulator
	f.filter()
}

// Data is called with a chunk that the data filters have passed.
func (e *emulation) Data(c *Connection, _ Direction, chunk []byte) Verdict {
	return e.emulator.Data(c, chunk)
}

// Detach is called when the connection has ended.
func (e *emulation) Detach() {
	if d, ok := e.emulator.(Detacher); ok {
		d.Detach()
	}
}

// end tells the emulator that the client sends no more.
func (e *emulation) end() { e.call(e.emulator.End) }

// maySend tells the emulator that no data is waiting for the client.
func (e *emulation) maySend() {
	f := &e.c.flows[Downstream]
	if s, ok := e.emulator.(Sender); ok && !e.c.Ended() && f.state == flowIdle && f.send == nil {
		e.call(s.MaySend)
	}
}

// call calls the emulator. A panic in it makes the connection fail.
func (e *emulation) call(f func(c *Connection)) {
	defer func() {
		if r := recover(); r != nil {
			e.c.panicked(e.owner.config.Name, r)
			e.c.fail(ByFilter, "an emulator panicked")
		}
	}()
	f(e.c)
}
