package framework

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"

	"fwx/framework/completion"
	"fwx/framework/internal/certs"
	"fwx/framework/tlsstream"
	"fwx/framework/wire/clienthello"
)

// handshake is the start of a connection on a listener with TLS. The client's hello is
// received and shown to the filters; then the handshake is done, or the connection is passed
// through.
type handshake struct {
	parser     *clienthello.Parser // nil once the hello is no longer needed
	recv, send *completion.Overlapped
	mode       string
	info       TLSInfo
	stream     *tlsstream.Stream // nil until the handshake has started
	turn       handshakeTurn     // see handshakeLimiter
	older      *Connection       // the next older handshake that waits for its client
	younger    *Connection       // the next younger handshake that waits for its client
	afterAlert func()            // called when the alert has been sent
}

var (
	errHelloMissing = errors.New("the client sent no ClientHello within the handshake_timeout")
	errHandshake    = errors.New("it was not done within the handshake_timeout")
	errCrowded      = errors.New("too many handshakes wait for their clients, and this one has waited longest")
)

// beginTLS starts to receive the client's hello.
func (c *Connection) beginTLS() {
	settings := c.listener.config.TLS
	g := &handshake{parser: &clienthello.Parser{}, mode: settings.Mode}
	g.recv, g.send = c.worker.CreateOverlapped(), c.worker.CreateOverlapped()
	c.handshake = g
	err := errors.Join(g.recv.SetNotificationInterface((*helloReceived)(c), nil), g.send.SetNotificationInterface((*alertSent)(c), nil))
	if err != nil {
		c.fail(ByGateway, err.Error())
		return
	}
	c.phase = phaseHandshake
	c.phaseTimer.Reset(settings.HandshakeTimeout)
	c.awaitHello()
}

func (c *Connection) awaitHello() {
	if err := c.internal.Recv(c.handshake.recv); err != nil {
		c.fail(ByGateway, fmt.Sprintf("TLS: receive: %v", err))
	}
}

// helloReceived is a connection as the notification of a receive of the hello.
type helloReceived Connection

// CompleteAsyncIO parses a piece of the hello.
func (n *helloReceived) CompleteAsyncIO(_ bool, bytes int, err error, o *completion.Overlapped, _ any) {
	c := (*Connection)(n)
	b := o.TakeBuffer()
	switch {
	case c.Ended():
	case err != nil:
		c.breakOff(ByClient, fmt.Errorf("TLS: receive: %w", err))
	case bytes == 0:
		c.breakOff(ByClient, errors.New("TLS: the client closed the connection before its ClientHello was complete"))
	default:
		c.onHello(b.Bytes())
	}
	if b != nil {
		b.Release()
	}
	c.afterCompletion()
}

// onHello parses a piece of the hello. When the hello is complete the filters are told.
func (c *Connection) onHello(piece []byte) {
	g := c.handshake
	done, err := g.parser.Parse(piece)
	var mistake *clienthello.Error
	switch {
	case errors.As(err, &mistake):
		c.refuseHello(mistake.Alert, func() { c.failHandshake(ByClient, "TLS: "+err.Error()) })
	case done:
		c.phaseTimer.Stop()
		c.phase = phaseEvents
		hello := *g.parser.Hello() // a copy: the parser is much larger
		g.info.Hello = &hello
		c.raise(ClientHello)
	default:
		c.awaitHello()
	}
}

// refuseHello answers the hello with an alert, and then calls then, which ends the connection.
func (c *Connection) refuseHello(alert clienthello.Alert, then func()) {
	g := c.handshake
	record := alert.Record()
	if record == nil {
		then()
		return
	}
	g.afterAlert = then
	c.phase = phaseHandshake
	c.phaseTimer.Reset(lingerTime)
	if err := c.internal.Send(g.send, record); err != nil {
		then()
	}
}

// alertSent is a connection as the notification of the alert that refuses its hello.
type alertSent Connection

// CompleteAsyncIO ends the connection. It does not matter whether the alert has arrived.
func (n *alertSent) CompleteAsyncIO(bool, int, error, *completion.Overlapped, any) {
	c := (*Connection)(n)
	if !c.Ended() {
		c.handshake.afterAlert()
	}
	c.afterCompletion()
}

// failHandshake ends the connection because TLS with the client failed. The sockets are closed
// without a reset, which could overtake the alert that says why.
func (c *Connection) failHandshake(by EndedBy, reason string) {
	c.listener.tls.Count(c.worker.Index(), certs.Failed)
	c.failed(by, reason)
	c.end(false)
}

// afterHello continues when the filters have been told of the hello.
func (c *Connection) afterHello() {
	g := c.handshake
	g.recv, g.send = nil, nil
	if g.mode == TLSPassThrough {
		c.listener.tls.Count(c.worker.Index(), certs.Passed)
		c.clientReady()
		return
	}
	c.phase = phaseHandshake
	c.phaseTimer.Reset(c.listener.config.TLS.HandshakeTimeout)
	c.startHandshake()
}

// takeHello returns what was received before the connection was passed through, once.
func (c *Connection) takeHello() []byte {
	if c.handshake == nil || c.handshake.mode != TLSPassThrough || c.handshake.parser == nil {
		return nil
	}
	data := c.handshake.parser.Received()
	c.handshake.parser = nil
	return data
}

// startHandshake starts the handshake, unless the worker is busy with too many already.
func (c *Connection) startHandshake() {
	if !c.load().handshakes.enter(c) {
		return // it starts when its turn comes
	}
	g := c.handshake
	received := g.parser.Received()
	g.parser = nil
	socket, _ := c.internal.(*completion.Socket)
	stream, err := tlsstream.Server(socket, c.listener.tls.Config(), received, c.handshakeDone)
	if err != nil {
		c.load().handshakes.leave(c)
		c.fail(ByGateway, fmt.Sprintf("TLS: %v", err))
		return
	}
	g.stream, c.internal = stream, stream
	stream.OnWait(func() { c.load().handshakes.wait(c) })
}

// handshakeDone is called when the handshake has ended.
func (c *Connection) handshakeDone(err error) {
	c.load().handshakes.leave(c)
	switch {
	case c.Ended():
	case err != nil:
		by := ByClient
		if errors.Is(err, errHandshake) {
			by = ByLimit
		}
		c.failHandshake(by, "TLS handshake with the client: "+explainTLSError(err).Error())
	default:
		state := c.handshake.stream.ConnectionState()
		c.handshake.info.agreed(state)
		c.listener.tls.Count(c.worker.Index(), certs.ResultOf(state))
		c.phaseTimer.Stop()
		c.phase = phaseEvents
		c.clientReady()
	}
	c.afterCompletion()
}

// handshakeTimedOut ends a handshake that takes too long.
func (c *Connection) handshakeTimedOut() {
	switch g := c.handshake; {
	case g.afterAlert != nil:
		g.afterAlert()
	case g.stream != nil:
		g.stream.Abort(errHandshake)
	case g.turn == handshakeQueued:
		c.failHandshake(ByLimit, "TLS: too many handshakes: the turn of this one did not come within the handshake_timeout")
	default:
		c.failHandshake(ByLimit, "TLS: "+errHelloMissing.Error())
	}
}

// busy reports whether an operation of the handshake is in flight.
func (g *handshake) busy() bool {
	return g != nil && g.recv != nil && (g.recv.InFlight() || g.send.InFlight() || g.stream != nil && g.stream.Handshaking())
}

// explainTLSError rewrites errors of crypto/tls that an operator would not understand.
func explainTLSError(err error) error {
	var alert tls.AlertError
	var wrongPeer tls.RecordHeaderError
	var unknown x509.UnknownAuthorityError
	var remote *net.OpError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the peer closed the connection during it")
	case errors.As(err, &wrongPeer):
		return fmt.Errorf("the peer does not speak TLS: %w", err)
	case errors.As(err, &unknown):
		return fmt.Errorf("%w (its issuer is not one of those that are trusted here)", err)
	case errors.As(err, &alert), errors.As(err, &remote) && remote.Op == "remote error":
		return fmt.Errorf("the peer refuses it: %w", err)
	}
	return err
}
