package framework

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"fwx/framework/completion"
	"fwx/framework/tlsstream"
	"fwx/framework/wire/http1"
)

// serverConn is a connection to a server. It belongs to a worker and serves one exchange at a
// time. Between exchanges it is idle, with a receive pending so that a close is noticed.
type serverConn struct {
	w          *httpPool
	key        serverKey
	stream     stream
	recv, send *completion.Overlapped
	x          *Exchange         // the exchange that uses it; nil: it is idle or closed
	connecting bool              // it is being connected, TLS handshake included
	handshake  *tlsstream.Stream // the stream whose TLS handshake is in progress; nil: none is
	reused     bool              // it has served an exchange before
	parking    bool              // it becomes idle once the send in flight has completed
	closed     bool
	requests   int           // number of requests it has served
	stay       time.Duration // how long it may be idle
	until      time.Duration // when it has been idle for too long

	buffer *completion.Buffer // the buffer received last
	rest   []byte             // the part of buffer not yet parsed

	out      []byte // bytes not yet sent to the server
	inFlight []byte // bytes being sent to the server
	sending  bool
	chunkOf  *clientConn // the client connection whose chunk is being sent; nil: inFlight is
}

// serverKey identifies connections to servers that may be used in place of each other.
type serverKey struct {
	upstream *upstream
	address  completion.Address
}

func newHTTPPool(fw *Firewall, worker *completion.Worker) *httpPool {
	w := &httpPool{fw: fw, worker: worker, idle: make(map[serverKey]*idleServers)}
	w.sweeper = worker.NewTimer(w.sweep)
	var seed [8]byte
	_, _ = rand.Read(seed[:]) // Read never returns an error
	w.lastID = binary.BigEndian.Uint64(seed[:])
	return w
}

// dial begins to connect to a server for an exchange.
func (w *httpPool) dial(x *Exchange, key serverKey) error {
	s := &serverConn{w: w, key: key, x: x, connecting: true, stay: key.upstream.config.IdleTimeout, recv: w.worker.CreateOverlapped(), send: w.worker.CreateOverlapped()}
	err := errors.Join(
		s.recv.SetNotificationInterface((*serverConnected)(s), nil),
		s.send.SetNotificationInterface((*serverSent)(s), nil),
	)
	if err == nil {
		err = w.worker.Connect(s.recv, key.address)
	}
	if err == nil {
		x.server = s
	}
	return err
}

// serverConnected, serverReceived and serverSent are a serverConn as the notification of its
// operations.
type (
	serverConnected serverConn
	serverReceived  serverConn
	serverSent      serverConn
)

// CompleteAsyncIO starts the TLS handshake with the connected server, or starts to use the
// connection.
func (n *serverConnected) CompleteAsyncIO(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
	s := (*serverConn)(n)
	socket, _ := o.TakeValue().(*completion.Socket)
	defer s.x.recoverPanic()
	switch u := s.key.upstream; {
	case err != nil:
		s.connected(nil, err)
	case s.closed:
		_ = socket.Reset() // it has just been connected
	case u.tls == nil:
		s.connected(socket, nil)
	default:
		s.handshake, err = u.secure(socket, hostOf(s.x.place.Target().Text), s.secured)
		if err != nil {
			_ = socket.Reset() // it has just been connected
			s.connected(nil, err)
		}
	}
}

// secured is called when the TLS handshake has ended.
func (s *serverConn) secured(err error) {
	stream := s.handshake
	s.handshake = nil
	defer s.x.recoverPanic()
	if err == nil {
		if agreed := stream.ConnectionState().NegotiatedProtocol; agreed != "" && agreed != alpnHTTP {
			err = fmt.Errorf("TLS handshake: the server selected ALPN %q, which the upstream's alpn offers, but the gateway speaks %q", agreed, alpnHTTP)
		}
	}
	if err != nil || s.closed {
		_ = stream.Close() // it is open
	}
	s.connected(stream, err)
}

// connected continues with the server that has been connected, or without it.
func (s *serverConn) connected(side stream, err error) {
	s.connecting = false
	if s.closed {
		return
	}
	x := s.x
	if err == nil {
		s.stream = side
		if err = s.recv.SetNotificationInterface((*serverReceived)(s), nil); err == nil {
			err = s.receive()
		}
	}
	if err != nil {
		s.close()
		x.connectFailed(err)
		return
	}
	x.connected()
}

// receive receives the next part of a response.
func (s *serverConn) receive() error {
	if s.recv.InFlight() || s.buffer != nil {
		return nil
	}
	return s.stream.Recv(s.recv)
}

// CompleteAsyncIO hands what the server has sent to the exchange.
func (r *serverReceived) CompleteAsyncIO(_ bool, bytes int, err error, o *completion.Overlapped, _ any) {
	s := (*serverConn)(r)
	b := o.TakeBuffer()
	defer s.x.recoverPanic()
	switch x := s.x; {
	case s.closed:
		if b != nil {
			b.Release()
		}
	case x == nil: // it was closed, or sent data without a request
		if b != nil {
			b.Release()
			s.w.fw.logger.Warn("a server sent data after its response", "upstream", s.key.upstream.config.Name, "server", s.key.address.String(), "bytes", bytes)
		}
		s.w.forget(s)
		s.close()
	case err != nil:
		x.serverEnded(err)
		x.h.proceed()
	case bytes == 0:
		x.serverEnded(nil)
		x.h.proceed()
	default:
		h := x.h
		s.buffer, s.rest = b, b.Bytes()
		x.receive()
		h.proceed()
	}
}

// releaseBuffer releases the receive buffer.
func (s *serverConn) releaseBuffer() {
	if s.buffer != nil {
		s.buffer.Release()
	}
	s.buffer, s.rest = nil, nil
}

// ensureOut allocates out if there is no buffer.
func (s *serverConn) ensureOut() {
	if s.out == nil {
		s.out = s.w.buffer()
	}
}

// write appends a part of a body to the bytes for the server. A large part is sent directly
// from the client's chunk, which is in use until the send has completed.
func (s *serverConn) write(content []byte, chunked bool) {
	const large = 8 << 10
	s.ensureOut()
	switch {
	case chunked:
		s.out = http1.AppendChunk(s.out, content)
	case len(s.out) == 0 && !s.sending && len(content) >= large:
		s.chunkOf, s.x.h.chunkInUse = s.x.h, true
		s.transmit(content)
	default:
		s.out = append(s.out, content...)
	}
}

// flush sends what has been gathered for the server, unless a send is in progress.
func (s *serverConn) flush() {
	if !s.sending && !s.connecting && !s.closed && len(s.out) > 0 {
		s.inFlight, s.out = s.out, nil
		s.transmit(s.inFlight)
	}
}

func (s *serverConn) transmit(data []byte) {
	s.sending = true
	if err := s.stream.Send(s.send, data); err != nil {
		s.sending = false
		if h := s.chunkOf; h != nil {
			s.chunkOf, h.chunkInUse = nil, false
		}
		s.x.serverNotReading()
	}
}

// CompleteAsyncIO continues with the request after a send.
func (n *serverSent) CompleteAsyncIO(_ bool, _ int, err error, _ *completion.Overlapped, _ any) {
	s := (*serverConn)(n)
	defer s.x.recoverPanic()
	s.sending = false
	s.inFlight = s.w.giveBack(s.inFlight)
	if h := s.chunkOf; h != nil {
		s.chunkOf, h.chunkInUse = nil, false
		defer h.proceed()
	}
	x := s.x
	switch {
	case s.closed:
	case s.parking && err == nil:
		s.parking = false
		s.w.park(s)
	case x == nil:
		s.close()
	case err != nil:
		x.serverNotReading()
	default:
		x.sent()
	}
	if x != nil && !s.closed {
		x.h.proceed()
	}
}

// release ends the exchange's use of the connection, and keeps the connection for others if
// that is possible.
func (s *serverConn) release(reusable bool) {
	s.x.server, s.x = nil, nil
	s.requests++
	switch {
	case !reusable || s.closed || len(s.rest) > 0 || len(s.out) > 0:
		s.close()
	case s.sending: // the response arrived before the completion of the send
		s.parking = true
	default:
		s.w.park(s)
	}
}

// close closes the connection.
func (s *serverConn) close() {
	if s.closed {
		return
	}
	s.closed = true
	s.releaseBuffer()
	switch {
	case s.handshake != nil:
		s.handshake.Abort(completion.ErrOperationAborted)
	case s.connecting:
		_ = s.recv.Cancel() // in flight
	case s.stream != nil && !s.stream.Closed():
		_ = s.stream.Close() // it is open
	}
}
