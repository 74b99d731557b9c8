package framework

import (
	"errors"

	"fwx/framework/completion"
)

// Emulator plays the server of a connection: no server is connected, and what
// the client sends comes to it, through the connection's data filters. It
// answers by Connection.Send in the Downstream direction, past the filters, and
// ends its answer by Connection.CloseSend. It may be a Detacher, too.
// Everything for one connection is called on its worker, one call at a time.
type Emulator interface {
	// Data is given a chunk. Pass means that the emulator has taken it. After a
	// Hold nothing more is received until Connection.Resume in the Upstream
	// direction. The chunk is valid until the verdict has been given.
	Data(c *Connection, chunk []byte) Verdict
	// End says that the client sends no more. The connection goes on until
	// Connection.CloseSend.
	End(c *Connection)
}

// Sender is an emulator that wants to know when it may send: first when the
// connection stands, and then each time that all it has sent is on its way. One
// that was told ErrQueueFull goes on from there.
type Sender interface{ MaySend(c *Connection) }

// classEmulator puts the emulator behind all data filters.
const classEmulator PriorityClass = 255

// emulation is the emulator of a connection, the last link of its chain.
type emulation struct {
	c        *Connection
	emulator Emulator
	owner    *filter
}

// Emulate lets an emulator play the server (IFWXConnection::EmulateForConnect).
// It is legal in the handler of ConnectTCP, anywhere else ErrBadContext, and so for
// a connection that comes from the server; a second one is ErrAlreadyEmulated. Connection.Server is the zero Address then,
// and Connection.Bytes counts downstream what the emulator sends.
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

// CloseSend ends the stream to the client of an emulated connection, behind what
// has been sent. When the client has ended its own, the connection is over. It is
// ErrBadContext if there is no emulator or the connection does not stand yet, and
// ErrTerminating a second time.
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

// send is Connection.Send where there is an emulator.
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

// offer sends data to the client through the data filters, when nothing else is on its
// way: the emulator is told by MaySend when it has gone, or was dropped. The buffer, if
// there is one, is what the data is in, and given back then.
func (e *emulation) offer(data []byte, b *completion.Buffer) {
	f := &e.c.flows[Downstream]
	f.bytes += uint64(len(data))
	f.chunk, f.buffer, f.next = data, b, 1 // behind the emulator
	f.filter()
}

// Data is told a chunk that the data filters have let pass.
func (e *emulation) Data(c *Connection, _ Direction, chunk []byte) Verdict {
	return e.emulator.Data(c, chunk)
}

// Detach is told the end of the connection.
func (e *emulation) Detach() {
	if d, ok := e.emulator.(Detacher); ok {
		d.Detach()
	}
}

// end tells the emulator that the client sends no more.
func (e *emulation) end() { e.call(e.emulator.End) }

// maySend tells the emulator that nothing waits for the client.
func (e *emulation) maySend() {
	f := &e.c.flows[Downstream]
	if s, ok := e.emulator.(Sender); ok && !e.c.Ended() && f.state == flowIdle && f.send == nil {
		e.call(s.MaySend)
	}
}

// call calls the emulator; a panic in it makes the connection fail.
func (e *emulation) call(f func(c *Connection)) {
	defer func() {
		if r := recover(); r != nil {
			e.c.panicked(e.owner.config.Name, r)
			e.c.fail(ByFilter, "an emulator panicked")
		}
	}()
	f(e.c)
}
