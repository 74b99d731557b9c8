package scripting

import (
	"bytes"
	"errors"
	"io"
	"time"

	"fwx/framework/completion"
)

// transport is a stream of bytes to a server, plain or encrypted. Read and Write
// are called on a fiber and may suspend it; one of each at a time. They return the
// error of a fiber that must not wait any more, and never raise it, because there
// may be frames of other packages between them and the script.
//
// What is given to Write must not change, even after an error. A Write that fails
// has ended the stream: how much of it went out is not known.
type transport interface {
	io.ReadWriter
	// listen begins to receive, although nobody reads. heard is then called, on the
	// worker's loop, when something has come: before anything of it is read.
	listen(heard func())
	// quiet reports whether nothing has come that could be read, the end included.
	quiet() bool
	close()
	// count adds what it takes, and what has come and not been read.
	count(c *census)
}

// stream is a socket of the port for fibers. Its operations are its own, not
// those of the fiber that waits: one that gives up waiting loses nothing that
// arrives later.
type stream struct {
	state  *state
	socket *completion.Socket
	recv   *completion.Overlapped
	send   *completion.Overlapped

	in      []byte // received, and not read
	end     error  // why nothing more comes
	failed  error  // why nothing more goes out
	reader  *fiber // that waits
	writer  *fiber
	heard   func()
	lingers bool // closes when it has sent
	closed  bool
}

func newStream(s *state, socket *completion.Socket) (*stream, error) {
	st := &stream{state: s, socket: socket, recv: s.worker.CreateOverlapped(), send: s.worker.CreateOverlapped()}
	return st, errors.Join(
		st.recv.SetNotificationInterface((*receiving)(st), nil),
		st.send.SetNotificationInterface((*sending)(st), nil),
	)
}

// streamBytes is what one takes, here and in the port.
const streamBytes = 1 << 10

func (st *stream) count(c *census) {
	c.bytes += streamBytes
	c.buffer(st.in)
	c.buffer(st.send.Kept())
}

// Read waits until there is something, and takes what fits.
func (st *stream) Read(p []byte) (int, error) {
	if err := st.fill(); err != nil {
		return 0, err
	}
	n := copy(p, st.in)
	if st.in = st.in[n:]; len(st.in) == 0 {
		st.in = nil
	}
	return n, nil
}

// fill waits until there is something to read.
func (st *stream) fill() error {
	for len(st.in) == 0 {
		if st.end != nil {
			return st.end
		}
		if err := st.receive(); err != nil {
			return err
		}
		if err := st.state.running.parkAt(&st.reader); err != nil {
			return err
		}
	}
	return nil
}

// receive begins to receive. Only when all has been read does it do so again: this
// is what makes a server wait.
func (st *stream) receive() error {
	if st.recv.InFlight() {
		return nil
	}
	err := st.socket.Recv(st.recv)
	if err != nil {
		st.end = err
	}
	return err
}

func (st *stream) listen(heard func()) {
	st.heard = heard
	if heard != nil && st.quiet() {
		_ = st.receive() // noted in st.end
	}
}

func (st *stream) quiet() bool { return len(st.in) == 0 && st.end == nil }

// receiving is a stream as the notification of its receives.
type receiving stream

// CompleteAsyncIO takes what has come.
func (r *receiving) CompleteAsyncIO(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
	st := (*stream)(r)
	b := o.TakeBuffer()
	switch {
	case err != nil:
		st.end = err
	case st.closed: // while the last goes out, to which the server may answer
		st.end = completion.ErrOperationAborted
	case b == nil:
		st.end = io.EOF
	default:
		st.in = bytes.Clone(b.Bytes()) // buffers of the port are for the gateway
	}
	if b != nil {
		b.Release()
	}
	switch {
	case st.reader != nil:
		st.reader.wake()
	case st.heard != nil:
		st.heard()
	}
}

// Write sends all of p.
func (st *stream) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	err := st.settle() // of what went out by itself
	if err == nil {
		err = st.start(p)
	}
	if err == nil {
		err = st.settle()
	}
	if err != nil {
		st.fail(err)
		return 0, err
	}
	return len(p), nil
}

// start begins to send.
func (st *stream) start(p []byte) error {
	if st.failed != nil {
		return st.failed
	}
	return st.socket.Send(st.send, p)
}

// settle waits until what is being sent is sent.
func (st *stream) settle() error {
	for st.send.InFlight() {
		if err := st.state.running.parkAt(&st.writer); err != nil {
			return err
		}
	}
	return st.failed
}

// fail ends the sending side.
func (st *stream) fail(err error) {
	if st.failed == nil {
		st.failed = err
	}
}

// sending is a stream as the notification of its sends.
type sending stream

// CompleteAsyncIO wakes who waits for it.
func (s *sending) CompleteAsyncIO(_ bool, _ int, err error, _ *completion.Overlapped, _ any) {
	st := (*stream)(s)
	if err != nil {
		st.fail(err)
	}
	if st.lingers {
		st.shut()
	}
	if st.writer != nil {
		st.writer.wake()
	}
}

// lingerLimit bounds how long a stream that is closed may take to send its last.
const lingerLimit = time.Second

// close ends the stream. What is being sent by itself has a moment to go out.
func (st *stream) close() {
	if st.closed {
		return
	}
	st.closed, st.heard = true, nil
	st.state.sockets--
	if st.send.InFlight() && st.writer == nil {
		st.lingers = true
		st.state.worker.AfterFunc(lingerLimit, st.shut)
		return
	}
	st.shut()
}

// shut closes the socket. What is in flight completes, and wakes who waits for it.
func (st *stream) shut() {
	_ = st.socket.Close() // an error means that it is closed
	if st.end == nil && !st.recv.InFlight() {
		st.end = completion.ErrHandleClosed
	}
	st.fail(completion.ErrHandleClosed)
}
