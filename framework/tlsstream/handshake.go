package tlsstream

import (
	"crypto/tls"
	"errors"

	"fwx/framework/completion"
)

// errClosed ends a handshake whose stream is closed.
var errClosed = errors.New("the stream was closed during the handshake")

// Server begins to answer the handshake of a client that is connected by a socket, of
// which received has arrived already. done is called once on the socket's worker, with
// the error that ended the handshake, if one did, and never inside Server; until then
// nothing but Abort, Close and Reset may be called. After an error the stream is still
// to be closed.
func Server(socket *completion.Socket, config *tls.Config, received []byte, done func(error)) (*Stream, error) {
	return begin(socket, received, done, func(w *wire) *tls.Conn { return tls.Server(w, config) })
}

// Client begins the handshake with a server. It is otherwise like Server.
func Client(socket *completion.Socket, config *tls.Config, done func(error)) (*Stream, error) {
	return begin(socket, nil, done, func(w *wire) *tls.Conn { return tls.Client(w, config) })
}

func begin(socket *completion.Socket, received []byte, done func(error), side func(*wire) *tls.Conn) (*Stream, error) {
	w := socket.Worker()
	s := &Stream{Socket: socket, done: done}
	s.recv, s.send = w.CreateOverlapped(), w.CreateOverlapped()
	err := errors.Join(s.recv.SetNotificationInterface((*arriving)(s), nil), s.send.SetNotificationInterface((*sent)(s), nil))
	if err != nil {
		return nil, err
	}
	s.wire.stirs.L = &s.wire.mu
	s.wire.in = received
	s.wire.port = w.Port()
	s.wire.ask = func() {
		if w.PostTaskCompletion((*asking)(s), nil) != nil { // the port is closed
			s.wire.asked, s.wire.err = false, completion.ErrPortClosed
		}
	}
	s.wire.remote = netAddr(socket.RemoteAddress())
	s.wire.local = netAddr{AddrPort: socket.LocalAddrPort()}
	s.conn = side(&s.wire)
	w.Port().Go(s.runHandshake)
	return s, nil
}

// runHandshake is the goroutine of the handshake.
func (s *Stream) runHandshake() {
	err := s.conn.Handshake()                                   //nolint:noctx // the stream has a limit of its own, which closes the socket
	_ = s.Socket.Worker().Post(func() { s.handshakeDone(err) }) // an error means that nobody wants to know
}

// asking is a stream as the task that the goroutine of the handshake posts when it
// waits for the peer.
type asking Stream

// CompleteTask sends what was collected and receives.
func (a *asking) CompleteTask(any) {
	s := (*Stream)(a)
	s.flush()
	if s.waits != nil {
		s.waits()
	}
	if s.recv.InFlight() {
		return
	}
	if err := s.Socket.Recv(s.recv); err != nil {
		s.wire.arrived(nil, err)
	}
}

// OnWait has waits called, on the worker, each time that the handshake waits for the peer.
func (s *Stream) OnWait(waits func()) { s.waits = waits }

// handshakeDone is the end of the handshake. What the peer has to be told of a failure is sent
// before.
func (s *Stream) handshakeDone(err error) {
	s.wire.established, s.waits = true, nil // the goroutine has ended
	s.failed = err
	s.shook, s.more = true, true // data may have come with the end of the handshake
	s.flush()
	if err == nil || !s.send.InFlight() {
		s.tell()
	}
}

// tell tells of the end of the handshake, once.
func (s *Stream) tell() {
	if done := s.done; done != nil && s.shook {
		s.done = nil
		done(s.failed)
	}
}

// Abort ends a handshake that goes on, with an error. Afterwards it has no effect.
func (s *Stream) Abort(err error) {
	if s.done == nil {
		return
	}
	if s.shook { // it waits for the peer to take the alert
		s.tell()
		return
	}
	s.wire.arrived(nil, err)
}

// Handshaking reports whether done has not been called yet.
func (s *Stream) Handshaking() bool { return s.done != nil }

// ConnectionState returns what the handshake has agreed on.
func (s *Stream) ConnectionState() tls.ConnectionState { return s.conn.ConnectionState() }
