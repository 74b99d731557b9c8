package tlsstream

import (
	"crypto/tls"
	"errors"
	"io"
	"os"
	"time"

	"fwx/framework/completion"
)

// ErrTruncated ends a stream whose end the peer did not announce: what was received may
// not be all that was sent.
var ErrTruncated = errors.New("tls: the connection ended without close_notify: the stream may have been cut off")

// Stream is a TLS connection. It lives on the worker of its socket, whose addresses it
// has.
type Stream struct {
	*completion.Socket

	conn       *tls.Conn
	wire       wire
	recv, send *completion.Overlapped // of the socket

	cipher   *completion.Buffer     // has what is in wire.in
	more     bool                   // crypto/tls has something without new ciphertext: plaintext, or how the stream has ended
	receiver *completion.Overlapped // who receives; nil: nobody
	sender   *completion.Overlapped // who sends
	size     int                    // bytes that it sends
	sending  *[]byte                // in flight
	ended    bool                   // close_notify is sent, or about to be
	over     bool                   // and the socket's side is ended
	closed   bool
	limit    *completion.Timer // of the end

	waits  func()      // is told that the handshake waits for the peer; nil: nobody is
	done   func(error) // is told of the handshake; nil: it was
	shook  bool        // the handshake has ended
	failed error       // so
}

// lingerTime is how long a stream that is closed waits for the peer to take what was sent.
const lingerTime = 2 * time.Second

// arriving and sent are the stream as the notification of the socket's operations.
type (
	arriving Stream
	sent     Stream
)

// Recv receives plaintext, see completion.Socket.Recv.
func (s *Stream) Recv(o *completion.Overlapped) error {
	switch {
	case s.closed:
		return completion.ErrHandleClosed
	case s.receiver != nil:
		return completion.ErrBusy
	}
	if err := s.Worker().Begin(o, (*layer)(s)); err != nil {
		return err
	}
	s.receiver = o
	s.pull()
	return nil
}

// pull gives the receiver what plaintext there is, or receives.
func (s *Stream) pull() {
	if len(s.wire.in) > 0 || s.more || s.wire.err != nil {
		b := s.Worker().NewBuffer()
		err := s.decrypt(b)
		s.flush() // an alert, or the answer to a key update
		switch {
		case len(b.Bytes()) > 0: // an error comes again
			s.received(b, nil)
			return
		case errors.Is(err, io.EOF) && s.wire.met:
			err = ErrTruncated
		case errors.Is(err, io.EOF):
			err = nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			b.Release()
			s.receive()
			return
		}
		b.Release()
		s.received(nil, err)
		return
	}
	s.receive()
}

// decrypt fills a buffer with as much plaintext as there is.
func (s *Stream) decrypt(b *completion.Buffer) error {
	for len(b.Space()) > 0 {
		n, err := s.conn.Read(b.Space())
		b.Fill(n)
		if err != nil {
			s.more = !errors.Is(err, os.ErrDeadlineExceeded) // it is told again
			s.release()
			return err
		}
	}
	s.more = true
	return nil
}

// release gives the buffer of the ciphertext back, once that is used up.
func (s *Stream) release() {
	if s.cipher != nil && len(s.wire.in) == 0 {
		s.cipher.Release()
		s.cipher, s.wire.in = nil, nil
	}
}

// receive receives ciphertext.
func (s *Stream) receive() {
	if s.recv.InFlight() { // by a receiver that was cancelled
		return
	}
	if err := s.Socket.Recv(s.recv); err != nil {
		s.received(nil, err)
	}
}

// received completes the receive.
func (s *Stream) received(b *completion.Buffer, err error) {
	o := s.receiver
	if o == nil {
		if b != nil {
			b.Release()
		}
		return
	}
	s.receiver = nil
	n := 0
	if b != nil {
		n = len(b.Bytes())
	}
	o.Complete(b, n, err)
}

// CompleteAsyncIO takes ciphertext that has arrived.
func (r *arriving) CompleteAsyncIO(_ bool, n int, err error, o *completion.Overlapped, _ any) {
	s := (*Stream)(r)
	b := o.TakeBuffer()
	if err == nil && n == 0 {
		err = io.EOF
	}
	if !s.wire.established {
		var data []byte
		if b != nil {
			data = b.Bytes()
		}
		s.wire.arrived(data, err)
		if b != nil {
			b.Release()
		}
		return
	}
	switch {
	case b == nil:
	case s.closed:
		b.Release()
	default:
		s.keep(b)
	}
	if err != nil {
		s.wire.err = err
	}
	if s.receiver != nil {
		s.pull()
	}
}

// keep keeps ciphertext until it is decrypted. What was left of the handshake comes
// before it.
func (s *Stream) keep(b *completion.Buffer) {
	if len(s.wire.in) == 0 {
		s.cipher, s.wire.in = b, b.Bytes()
		return
	}
	s.wire.in = append(s.wire.in, b.Bytes()...)
	b.Release()
}

// Send sends plaintext, see completion.Socket.Send.
func (s *Stream) Send(o *completion.Overlapped, data []byte) error {
	switch {
	case len(data) == 0:
		return completion.ErrInvalidArgument
	case s.closed:
		return completion.ErrHandleClosed
	case s.sender != nil:
		return completion.ErrBusy
	}
	if err := s.Worker().Begin(o, (*layer)(s)); err != nil {
		return err
	}
	s.sender, s.size = o, len(data)
	if _, err := s.conn.Write(data); err != nil {
		s.sent(err)
		return nil
	}
	s.flush()
	return nil
}

// flush sends the ciphertext that was collected, unless some is on its way.
func (s *Stream) flush() {
	if s.send.InFlight() {
		return
	}
	out := s.wire.collected()
	if out == nil {
		return
	}
	if err := s.Socket.Send(s.send, *out); err != nil {
		recycle(out)
		s.sent(err)
		return
	}
	s.sending = out
}

// sent completes the send.
func (s *Stream) sent(err error) {
	o := s.sender
	if o == nil {
		return
	}
	s.sender = nil
	if err != nil {
		s.size = 0
	}
	o.Complete(nil, s.size, err)
}

// CompleteAsyncIO goes on when ciphertext has been sent.
func (n *sent) CompleteAsyncIO(_ bool, _ int, err error, _ *completion.Overlapped, _ any) {
	s := (*Stream)(n)
	recycle(s.sending)
	s.sending = nil
	if err == nil {
		s.flush()
		if s.send.InFlight() {
			return
		}
	}
	s.sent(err)
	if s.shook {
		s.tell()
	}
	s.finish()
}

// CloseSend sends close_notify and ends the sending side.
func (s *Stream) CloseSend() error {
	if s.closed {
		return completion.ErrHandleClosed
	}
	s.notifyClose()
	s.finish()
	return nil
}

func (s *Stream) notifyClose() {
	if !s.ended && s.shook && s.failed == nil {
		_ = s.conn.CloseWrite() // only collects
	}
	s.ended = true
	s.flush()
}

// finish ends the socket's side behind what was sent.
func (s *Stream) finish() {
	if !s.ended || s.send.InFlight() || s.Socket.Closed() {
		return
	}
	if s.closed {
		s.limit.Stop()
		_ = s.Socket.Close() // it is open
		return
	}
	if !s.over {
		s.over = true
		_ = s.Socket.CloseSend() // an error is that of the next receive
	}
}

// Close ends the stream: what is received or sent completes with ErrOperationAborted.
// If nothing was being sent, the peer is told that this is the end.
func (s *Stream) Close() error {
	if s.closed {
		return completion.ErrHandleClosed
	}
	cut := s.sender != nil || s.done != nil
	s.leave()
	if cut {
		return s.Socket.Close()
	}
	s.limit = s.Worker().AfterFunc(lingerTime, func() {
		if !s.Socket.Closed() {
			_ = s.Socket.Reset() // it is open
		}
	})
	if s.recv.InFlight() {
		_ = s.recv.Cancel() // in flight
	}
	s.notifyClose()
	s.finish()
	return nil
}

// Reset closes the stream so that the peer sees a reset.
func (s *Stream) Reset() error {
	if s.closed {
		if s.Socket.Closed() {
			return completion.ErrHandleClosed
		}
		return s.Socket.Reset()
	}
	s.leave()
	return s.Socket.Reset()
}

// leave lets go of everything that waits for the stream.
func (s *Stream) leave() {
	s.closed = true
	s.Abort(errClosed)
	s.received(nil, completion.ErrOperationAborted)
	s.sent(completion.ErrOperationAborted)
	if s.wire.established {
		s.wire.in = nil
		s.release()
	}
}

// Closed reports whether Close or Reset has been called.
func (s *Stream) Closed() bool { return s.closed }

// layer is the stream as what carries out its operations.
type layer Stream

// Withdraw lets go of an operation that is cancelled. What arrives afterwards is for the
// next receive; what was to be sent is.
func (l *layer) Withdraw(o *completion.Overlapped) bool {
	s := (*Stream)(l)
	switch o {
	case s.receiver:
		s.receiver = nil
	case s.sender:
		s.sender = nil
	default:
		return false
	}
	return true
}
