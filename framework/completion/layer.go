package completion

// Layer carries out operations of its own on overlappeds of the port, as TLS over
// a socket does: they begin with Begin, end with Complete, and are for everyone
// else like those of the port.
type Layer interface {
	// Withdraw takes back an operation that is cancelled. True: the layer has let go
	// of it, and it ends with ErrOperationAborted. False: the layer completes it.
	Withdraw(o *Overlapped) bool
}

// Begin begins an operation of a layer. It passes the same check as every start,
// and until Complete the overlapped is in flight.
func (w *Worker) Begin(o *Overlapped, l Layer) error {
	if err := w.begin(o, nil, opLayer); err != nil {
		return err
	}
	o.held = l
	return nil
}

// Complete ends an operation of a layer (PostQueuedCompletionStatus). It is called
// once, on the worker; the notification follows and is never called inside. The
// buffer, if there is one, is what TakeBuffer returns.
func (o *Overlapped) Complete(b *Buffer, n int, err error) {
	if o.op != opLayer || o.state != opInFlight {
		panic("completion: Complete of an operation that no layer has begun, or of one that has ended")
	}
	o.held, o.buffer = nil, b
	o.worker.end(o, n, err)
}

// NewBuffer returns an empty buffer for what a layer has received. When the pool is
// used up it is not one of the pool: who waits for a buffer could otherwise wait for
// a layer that has one and wants another.
func (w *Worker) NewBuffer() *Buffer {
	w.checkThread()
	if b := w.buffers.get(); b != nil {
		w.buffers.space(b)
		return b
	}
	return w.buffers.off(layerBuffer)
}

// layerBuffer is the size of a buffer that is not one of the pool, in bytes.
const layerBuffer = 16 << 10

// Space returns the part of the buffer that nothing is in yet.
func (b *Buffer) Space() []byte { return b.mem[b.n:b.room] }

// Fill notes that so many bytes have been put where Space began.
func (b *Buffer) Fill(n int) { b.n += n }
