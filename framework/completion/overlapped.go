package completion

// ExternalIOCompletion is told when an overlapped operation has ended
// (IFWXExternalIOCompletion).
//
// CompleteAsyncIO runs on the worker of the overlapped. On success err is nil
// and bytes is valid; otherwise err says why. user is the value given to
// SetNotificationInterface. The overlapped may be started again, or be given
// another notification, from within the call.
type ExternalIOCompletion interface {
	CompleteAsyncIO(success bool, bytes int, err error, overlapped *Overlapped, user any)
}

// CompletionFunc lets a function be an ExternalIOCompletion.
type CompletionFunc func(success bool, bytes int, err error, overlapped *Overlapped, user any)

// CompleteAsyncIO calls f.
func (f CompletionFunc) CompleteAsyncIO(success bool, bytes int, err error, overlapped *Overlapped, user any) {
	f(success, bytes, err, overlapped, user)
}

// OVERLAPPED is what a file operation is started with, as in Win32: the caller
// sets Offset before each start and the port never advances it.
type OVERLAPPED struct {
	// Offset is the position in the file, in bytes. Streams (pipes, FIFOs,
	// terminals) ignore it.
	Offset int64

	owner *Overlapped
}

// Overlapped is one asynchronous operation (IFWXOverlapped): made by
// Worker.CreateOverlapped, given a notification, started by a method of a
// handle, and handed to its notification when it has ended. It can be used
// again then. It belongs to its worker, like everything of the port.
type Overlapped struct {
	worker *Worker
	notify ExternalIOCompletion
	user   any
	ov     OVERLAPPED

	// The operation in flight.
	desc      *descriptor
	op        opKind
	state     opState
	cancelled bool
	starved   bool  // a receive that once found no buffer
	internal  bool  // the port's own: not counted against Options.MaxOperations, nor cancelled by Shutdown
	held      Layer // who has it, if not the backend: the pool of threads, an appender, or another one's layer
	slot      uint32
	buf       []byte // what is sent, written or read into; kept alive and in place until completion
	done      int    // bytes of buf already transferred
	task      func() (any, error)
	pipe      *Pipe   // what is spliced through
	gather    *gather // what is written, if it is in several pieces
	packet    *packet // the datagram that is sent, or that was received
	fault     *fault  // what a test has in mind for it

	// Its result.
	buffer *Buffer
	value  any
	bytes  int
	err    error

	prev, next *Overlapped // in flight on the same descriptor

	queue         *opQueue // that it is in: ready, waiting for readiness, for a buffer, for a thread, for room
	before, after *Overlapped
}

type opState uint8

const (
	opIdle     opState = iota
	opInFlight         // started; the backend, the pool or a queue has it
	opReady            // ended; its notification is queued
)

type opKind uint8

const (
	opNone opKind = iota
	opRead
	opWrite
	opSync
	opReadStream
	opWriteStream
	opRecv
	opSend
	opAccept
	opConnect
	opSpliceIn
	opSpliceOut
	opTask
	opOpen
	opOpenAppender
	opAppend
	opCloseAppender
	opWatch
	opChanges // of a directory
	opClose
	opWriteGather
	opWriteGatherStream
	opRecvFrom
	opSendTo
	opLayer
)

// reads reports whether the operation waits for its descriptor to become
// readable, as opposed to writable.
func (k opKind) reads() bool {
	return k == opRecv || k == opAccept || k == opReadStream || k == opSpliceIn || k == opRecvFrom
}

// splices reports whether the operation goes through a pipe.
func (k opKind) splices() bool { return k == opSpliceIn || k == opSpliceOut }

// SetNotificationInterface names who is told of the end of each operation
// started with o, and the context that is handed back unchanged. It comes
// before GetOverlapped and every start; while o is in flight it is ErrBusy.
func (o *Overlapped) SetNotificationInterface(notify ExternalIOCompletion, user any) error {
	if o.state != opIdle {
		return ErrBusy
	}
	if notify == nil {
		return ErrInvalidArgument
	}
	o.notify, o.user = notify, user
	return nil
}

// GetOverlapped returns the structure to start file operations with. It is
// ErrNoNotification before SetNotificationInterface and ErrBusy in flight.
func (o *Overlapped) GetOverlapped() (*OVERLAPPED, error) {
	if o.notify == nil {
		return nil, ErrNoNotification
	}
	if o.state != opIdle {
		return nil, ErrBusy
	}
	return &o.ov, nil
}

// Worker returns the worker on which o completes.
func (o *Overlapped) Worker() *Worker { return o.worker }

// InFlight reports whether an operation has been started with o and its
// notification has not been called yet.
func (o *Overlapped) InFlight() bool { return o.state != opIdle }

// TakeBuffer returns what a Recv received and passes its ownership: the caller
// releases it. It is nil if there is none, or if it has been taken.
func (o *Overlapped) TakeBuffer() *Buffer {
	b := o.buffer
	o.buffer = nil
	if b != nil {
		b = b.pool.pass(b)
	}
	return b
}

// TakeValue returns the result of a RunBlocking, an OpenFile (a *Handle) or an
// Accept (an Accepted), and so on, and passes its ownership. What nobody has
// taken when o is started again is given up.
func (o *Overlapped) TakeValue() any {
	v := o.value
	o.value = nil
	return v
}

// dropResult gives back what nobody took of an earlier operation.
func (o *Overlapped) dropResult() {
	if b := o.buffer; b != nil {
		o.buffer = nil
		b.Release()
	}
	switch v := o.TakeValue().(type) {
	case Accepted:
		v.Discard()
	case *Socket:
		_ = v.Close() // nobody has it
	case *Handle:
		_ = v.Close() // nobody has it
	case *Watch:
		v.Close()
	}
}

// Data returns what a ReadFile has read, a part of the caller's buffer. It is
// valid until o is started again.
func (o *Overlapped) Data() []byte {
	if o.op != opRead && o.op != opReadStream || o.state != opIdle || o.buf == nil {
		return nil
	}
	return o.buf[:o.bytes]
}

// TakeData is Data, and lets go of the buffer: it is the caller's alone.
func (o *Overlapped) TakeData() []byte {
	data := o.Data()
	if o.state == opIdle {
		o.buf = nil
	}
	return data
}

// Kept returns the memory of the caller that the operation keeps: what is being
// written or read into, and what a read has read, until TakeData or the next start.
func (o *Overlapped) Kept() []byte { return o.buf }

// Cancel asks for the end of the operation in flight. It is only a request:
// the notification still comes, and reports success if the operation won.
// With nothing in flight it is ErrNotFound.
func (o *Overlapped) Cancel() error {
	if o.state != opInFlight {
		return ErrNotFound
	}
	if !o.cancelled {
		o.cancelled = true
		o.worker.cancel(o)
	}
	return nil
}

// sent returns what a cancelled operation had already transferred.
func (o *Overlapped) sent() int {
	switch o.op {
	case opSend, opSpliceOut, opWrite, opWriteStream, opWriteGather, opWriteGatherStream:
		return o.done
	default:
		return 0
	}
}
