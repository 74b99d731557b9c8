package scripting

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// secure is TLS over a stream, without a goroutine. The handshake runs on a fiber,
// which waits inside of crypto/tls: nobody else has the connection yet. From then
// on crypto/tls never waits, because a fiber that does so in there holds locks that
// would stop the worker. Reading ends with a time-out, which crypto/tls takes for
// one that passes, when there is nothing to decrypt; writing collects what is to be
// sent.
type secure struct {
	stream  *stream
	conn    *tls.Conn
	out     []byte // to be sent
	shaking bool
	beneath error // how the stream, or the fiber's waiting, has failed
}

// newSecure shakes hands with the server. An error leaves the stream to be closed.
func newSecure(st *stream, config *tls.Config) (*secure, error) {
	t := &secure{stream: st, shaking: true}
	t.conn = tls.Client((*cipherEnd)(t), config)
	err := t.conn.HandshakeContext(context.Background()) // on this fiber, as the context cannot be cancelled
	if err == nil {
		err = t.flush()
	} else {
		t.answer() // an alert says why
	}
	t.shaking = false
	return t, t.explain(err)
}

// secureBytes is about what crypto/tls takes for a connection.
const secureBytes = 32 << 10

func (t *secure) count(c *census) {
	c.bytes += secureBytes
	c.buffer(t.out)
	t.stream.count(c)
}

// explain gives an error its code if it is one of TLS.
func (t *secure) explain(err error) error {
	if err == nil || t.beneath != nil && errors.Is(err, t.beneath) {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("tls: the server closed the connection in the middle of a message")
	}
	return &codedError{err.Error(), codeTLS}
}

// Read waits until there is something to read, and takes what fits.
func (t *secure) Read(p []byte) (int, error) {
	for {
		n, err := t.conn.Read(p)
		t.answer()
		switch {
		case n > 0:
			return n, nil
		case errors.Is(err, io.EOF):
			return 0, io.EOF
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return 0, t.explain(err)
		}
		if err := t.stream.fill(); err != nil && t.stream.quiet() {
			return 0, err // the fiber must not wait; the stream is as it was
		}
	}
}

// answer sends what reading has made necessary, without waiting for it.
func (t *secure) answer() {
	if len(t.out) > 0 && !t.stream.send.InFlight() && t.stream.start(t.out) == nil {
		t.out = nil
	}
}

// Write encrypts and sends all of p.
func (t *secure) Write(p []byte) (sent int, err error) {
	const piece = 64 << 10 // what is encrypted at a stretch, and kept until it is sent
	for sent < len(p) {
		n, err := t.conn.Write(p[sent:min(sent+piece, len(p))])
		if err == nil {
			err = t.flush()
		}
		if err != nil {
			return sent, err
		}
		sent += n
	}
	return sent, nil
}

// flush sends what has been collected.
func (t *secure) flush() error {
	for len(t.out) > 0 {
		out := t.out
		t.out = nil
		if _, err := t.stream.Write(out); err != nil {
			return err
		}
	}
	return nil
}

// listen watches for the end. What comes on a connection that is not in use is most
// often a ticket for the next one: crypto/tls takes that, and there is nothing to read.
func (t *secure) listen(heard func()) {
	if heard == nil {
		t.stream.listen(nil)
		return
	}
	t.stream.listen(func() {
		if t.quiet() {
			t.listen(heard)
			return
		}
		heard()
	})
}

func (t *secure) quiet() bool {
	if t.stream.quiet() {
		return true
	}
	n, err := t.conn.Read(t.stream.state.scratchBuffer()[:1])
	t.answer()
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && t.stream.quiet()
}

// close says goodbye, which tells the server that nothing was cut off.
func (t *secure) close() {
	if !t.stream.closed {
		_ = t.conn.CloseWrite() // an error means that there is nobody to tell
		t.answer()
	}
	t.stream.close()
}

// cipherEnd is a secure as the connection that crypto/tls has.
type cipherEnd secure

// Read gives what has been received. In the handshake it waits for it.
func (c *cipherEnd) Read(p []byte) (int, error) {
	t := (*secure)(c)
	if !t.shaking && t.stream.quiet() {
		return 0, os.ErrDeadlineExceeded
	}
	var n int
	err := t.flushShaking()
	if err == nil {
		n, err = t.stream.Read(p)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		t.beneath = err
	}
	return n, err
}

// flushShaking sends what the server needs before it answers in the handshake.
func (t *secure) flushShaking() error {
	if !t.shaking {
		return nil
	}
	return t.flush()
}

// Write collects what is to be sent.
func (c *cipherEnd) Write(p []byte) (int, error) {
	c.out = append(c.out, p...)
	return len(p), nil
}

// Close does nothing: the stream is closed by who has it.
func (c *cipherEnd) Close() error { return nil }

// LocalAddr names no address: crypto/tls does not look at it.
func (c *cipherEnd) LocalAddr() net.Addr { return noAddr{} }

// RemoteAddr names no address either.
func (c *cipherEnd) RemoteAddr() net.Addr { return noAddr{} }

// SetDeadline does nothing, as nothing here waits by the clock.
func (c *cipherEnd) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (c *cipherEnd) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing: crypto/tls sets one for its goodbye.
func (c *cipherEnd) SetWriteDeadline(time.Time) error { return nil }

// noAddr is the address that nobody looks at.
type noAddr struct{}

func (noAddr) Network() string { return "tcp" }
func (noAddr) String() string  { return "" }
