package tlsstream

import (
	"net"
	"os"
	"sync"
	"time"

	"fwx/framework/completion"
)

// wire is the connection that crypto/tls works on. During the handshake it is used by
// the goroutine of that and by the worker, with the lock; then by the worker alone.
type wire struct {
	mu    sync.Mutex
	stirs sync.Cond // something has arrived, or err was set

	established bool
	port        *completion.Port
	asked       bool    // the worker was told that ciphertext is wanted
	waits       bool    // the goroutine waits for it
	ask         func()  // tells the worker
	in          []byte  // ciphertext that has arrived
	err         error   // what comes behind it; io.EOF: the end of the stream
	met         bool    // err was told
	out         *[]byte // ciphertext to be sent; nil: none

	local, remote net.Addr
}

// Read takes ciphertext: it waits for it during the handshake, and does not afterwards.
func (w *wire) Read(b []byte) (int, error) {
	if w.established {
		return w.take(b)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.in) == 0 && w.err == nil {
		if !w.asked {
			w.asked = true
			w.ask()
		}
		w.waits = true
		w.port.Idle()
		w.stirs.Wait()
	}
	return w.take(b)
}

func (w *wire) take(b []byte) (int, error) {
	switch {
	case len(w.in) > 0:
		n := copy(b, w.in)
		w.in = w.in[n:]
		return n, nil
	case w.err != nil:
		w.met = true
		return 0, w.err
	}
	return 0, os.ErrDeadlineExceeded
}

// Write collects ciphertext.
func (w *wire) Write(b []byte) (int, error) {
	if !w.established {
		w.mu.Lock()
		defer w.mu.Unlock()
	}
	if w.out == nil {
		w.out, _ = outgoing.Get().(*[]byte)
	}
	*w.out = append(*w.out, b...)
	return len(b), nil
}

// outgoing has the memory for what is being sent.
var outgoing = sync.Pool{New: func() any { return new([]byte) }}

// maxOutgoing is how large such memory may be to be kept, in bytes: a chunk of the
// pump and what TLS adds to it.
const maxOutgoing = 72 << 10

func recycle(b *[]byte) {
	if cap(*b) <= maxOutgoing {
		*b = (*b)[:0]
		outgoing.Put(b)
	}
}

// collected takes what is to be sent.
func (w *wire) collected() *[]byte {
	if !w.established {
		w.mu.Lock()
		defer w.mu.Unlock()
	}
	out := w.out
	w.out = nil
	return out
}

// arrived gives the goroutine of the handshake what it waits for.
func (w *wire) arrived(data []byte, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = false
	w.in = append(w.in, data...)
	if w.err == nil {
		w.err = err
	}
	if w.waits {
		w.waits = false
		w.port.Busy()
		w.stirs.Signal()
	}
}

// Close and the deadlines are for the one who calls crypto/tls: the stream.

func (w *wire) Close() error                     { return nil }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
func (w *wire) LocalAddr() net.Addr              { return w.local }
func (w *wire) RemoteAddr() net.Addr             { return w.remote }

// netAddr is an address as package net has them.
type netAddr completion.Address

func (a netAddr) String() string { return completion.Address(a).String() }

func (a netAddr) Network() string {
	if completion.Address(a).IsUnix() {
		return "unix"
	}
	return "tcp"
}
