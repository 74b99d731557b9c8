package testkit

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
	"fwx/framework/completion/fake"
	"fwx/framework/wire/websocket"
)

// peer is an end of a connection that the test has: of a client, or of a server.
type peer struct {
	test   *test
	socket *fake.Socket
	of     *framework.Connection // that it is an end of; nil: not known
	server *server               // that it was accepted by; nil: it is a client
	object *lua.LUserData        // itself in Lua
	in     []byte                // received, and not taken by the test
	fresh  []byte                // received, and not answered by the server
	out    [][]byte              // to be sent, when there is room: each arrives by itself
	state  string                // of what comes from the gateway
	ended  bool                  // by the test
	then   func()                // what is done behind out; nil: nothing
	tls    *encrypted            // nil: nothing is encrypted
	answer func()                // of the server, when something has come

	messages *websocket.Reader // of a WebSocket; nil: none was asked for

	playing  bool        // a message is being sent, which has pauses
	requests []*exchange // of the client, that have not been answered
}

// The states of a peer.
const (
	stateOpen   = "open"
	stateClosed = "closed" // the other side has ended the stream
	stateReset  = "reset"
)

// addPeer has the kit serve a socket.
func (t *test) addPeer(socket *fake.Socket, class string) *peer {
	p := &peer{test: t, socket: socket, state: stateOpen}
	p.object = &lua.LUserData{Value: p, Metatable: t.classes[class], Env: t.L.Env}
	t.peers = append(t.peers, p)
	return p
}

// String names the peer in messages.
func (p *peer) String() string {
	return fmt.Sprintf("the connection from %s to %s", p.socket.Local(), p.socket.Remote())
}

// exchange sends and receives what can be, and lets the server answer; it reports
// whether that was anything.
func (p *peer) exchange() bool {
	sent := p.push()
	came := p.pull()
	if came && p.answer != nil {
		p.answer()
	}
	return sent || came
}

// push sends the next piece, as far as there is room.
func (p *peer) push() (moved bool) {
	for len(p.out) > 0 {
		n, err := p.socket.Send(p.out[0])
		if errors.Is(err, fake.ErrFull) {
			return moved
		}
		if err != nil { // the gateway has closed it
			p.out = nil
			return true
		}
		moved = true
		if p.out[0] = p.out[0][n:]; len(p.out[0]) == 0 {
			p.out = p.out[1:]
			return true
		}
	}
	if p.then != nil && (p.tls == nil || p.tls.sent()) {
		p.then()
		p.then = nil
		return true
	}
	return moved
}

// pull receives what has come.
func (p *peer) pull() (moved bool) {
	buf := make([]byte, 64<<10)
	for p.state == stateOpen {
		n, err := p.socket.Receive(buf)
		switch {
		case errors.Is(err, fake.ErrEmpty) || errors.Is(err, fake.ErrClosed):
			return moved
		case errors.Is(err, syscall.ECONNRESET):
			p.state = stateReset
		case err != nil || n == 0:
			p.state = stateClosed
		}
		p.take(buf[:n])
		moved = true
	}
	return moved
}

// take takes what has come; nothing is the end.
func (p *peer) take(data []byte) {
	if p.tls != nil {
		data = p.tls.feed(data)
		p.sendEncrypted()
		if p.tls.err != nil && p.state == stateOpen {
			p.state = stateClosed
		}
	}
	p.in = append(p.in, data...)
	if p.answer != nil {
		p.fresh = append(p.fresh, data...)
	}
}

// send sends data, now or when there is room.
func (p *peer) send(data string) error {
	if p.ended {
		return fmt.Errorf("%s was ended by the test", p)
	}
	p.write(data)
	return nil
}

func (p *peer) write(data string) {
	switch {
	case data == "":
	case p.tls == nil:
		p.out = append(p.out, []byte(data))
	default:
		p.tls.write([]byte(data))
		p.sendEncrypted()
	}
}

// sendEncrypted sends what crypto/tls has made.
func (p *peer) sendEncrypted() {
	if data := p.tls.take(); len(data) > 0 {
		p.out = append(p.out, data)
	}
}

// receive returns what has come since it was called before, and is no part of the
// answer to a request.
func (p *peer) receive() string {
	if p.awaitsAnswer() {
		return ""
	}
	data := string(p.in)
	p.in = nil
	return data
}

// finish ends the stream, behind what is to be sent.
func (p *peer) finish() { p.end(func() { _ = p.socket.CloseSend() }) } // an error means that it is closed

// close closes the connection, behind what is to be sent.
func (p *peer) close() { p.end(p.socket.Close) }

func (p *peer) end(then func()) {
	p.ended, p.then = true, then
	if p.tls != nil {
		p.tls.finish()
		p.sendEncrypted()
	}
}

// reset breaks the connection off.
func (p *peer) reset() {
	p.ended, p.out, p.then = true, nil, nil
	p.socket.Reset()
}

// connection returns the connection in the gateway; nil: it has not accepted it, or the
// peer is that of the script's own.
func (p *peer) connection() *framework.Connection {
	t := p.test
	if p.of == nil && t.gateway != nil {
		t.onWorker(func() { p.of = t.gateway.observer.at(p.socket) })
	}
	return p.of
}

// opposite returns the peer at the other end of a client's connection; nil: there is none.
func (p *peer) opposite() *peer {
	c := p.connection()
	i := slices.IndexFunc(p.test.peers, func(other *peer) bool { return c != nil && other.server != nil && other.of == c })
	if i < 0 {
		return nil
	}
	return p.test.peers[i]
}
