package framework

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"fwx/framework/wire/websocket"
)

// MessageFilter is an HTTPFilter that sees the messages of connections that were
// upgraded to a WebSocket. Where there is none such a connection is a tunnel.
type MessageFilter interface {
	// Message is given a message, joined from its fragments and decompressed. Its verdict
	// is Pass, Replace, after which a message of the same kind goes on, Drop, Deny, which
	// closes the WebSocket with 1008, Fail, which does with 1011, or Hold, after which
	// Exchange.Resume gives another. The data is valid until the verdict has been given.
	Message(x *Exchange, dir Direction, m Message) Verdict
}

// Message is a message of a WebSocket.
type Message struct {
	Text bool // it is UTF-8; otherwise it is binary
	Data []byte
}

// ErrNotWebSocket answers Connection.SendMessage and Connection.CloseWebSocket on a
// connection that is none, or whose messages no filter sees.
var ErrNotWebSocket = errors.New("the connection is no WebSocket whose messages are looked at")

// webSocket is an upgraded connection whose messages filters see.
type webSocket struct {
	flows     [2]messageFlow
	lingering bool // nothing more comes but the ends of the streams
}

// isLingering reports whether there is a WebSocket on which nothing more is to be said.
func (w *webSocket) isLingering() bool { return w != nil && w.lingering }

// messageFlow is one direction of it.
type messageFlow struct {
	reader *websocket.Reader
	bits   int  // of the receiver's window; 0: it takes nothing compressed
	closed bool // a close has been sent
}

// seesMessages reports whether a filter sees the messages of WebSockets.
func (x *Exchange) seesMessages() bool {
	for i := range x.h.filters {
		if _, ok := x.h.filters[i].filter.(MessageFilter); ok {
			return true
		}
	}
	return false
}

const fieldExtensions = "Sec-WebSocket-Extensions"

// narrowExtensions leaves no extension in a request for a WebSocket but what is
// understood.
func (x *Exchange) narrowExtensions() {
	offer := websocket.Offer(fieldValues(&x.request.Header, "sec-websocket-extensions")...)
	x.request.Remove(fieldExtensions)
	if offer != "" {
		x.request.Add(fieldExtensions, offer)
	}
}

// watchMessages makes the filters see the messages of a connection that is about to become
// a WebSocket, if there is one that wants to.
func (x *Exchange) watchMessages() error {
	if !x.seesMessages() {
		return nil
	}
	const name = "sec-websocket-extensions"
	offer := string(x.request.Get(name)) // which has been narrowed
	c, err := websocket.Agreed(offer, fieldValues(&x.response.Header, name)...)
	if err != nil {
		return err
	}
	w, limit := x.h.w, int(x.h.config.MaxMessage)
	var inflater *websocket.Inflater
	if c.Agreed {
		inflater = &w.inflater
	}
	x.websocket = &webSocket{}
	x.websocket.flows[Upstream] = messageFlow{reader: websocket.NewReader(true, limit, inflater, c.ClientContext), bits: c.ClientBits}
	x.websocket.flows[Downstream] = messageFlow{reader: websocket.NewReader(false, limit, inflater, c.ServerContext), bits: c.ServerBits}
	return nil
}

// takeMessage takes a part of what one side has sent; false if it must wait.
func (x *Exchange) takeMessage(dir Direction, rest *[]byte) bool {
	f := &x.websocket.flows[dir]
	switch {
	case f.closed: // nothing that follows a close means anything
		*rest = nil
		return false
	case x.filterPass(dir).held || x.waiting(dir) > maxOut:
		return false
	}
	n, m, done, err := f.reader.Next(*rest)
	*rest = (*rest)[n:]
	switch {
	case err != nil:
		x.violated(dir, err)
		return !x.done
	case !done && !x.claimMessages():
		x.closeWebSocket(ByLimit, websocket.CodeTryAgain, "", errMemory.Error())
		return !x.done
	case !done:
		return false
	case m.Opcode == websocket.Close:
		x.passClose(dir, m.Data)
		return !x.done
	case m.Opcode.Control():
		x.sendFrame(dir, websocket.Frame{Opcode: m.Opcode}, m.Data)
		return true
	}
	x.h.c.listener.messages[dir].Add(x.h.w.worker.Index(), 1)
	stage := askMessageUp
	if dir == Downstream {
		stage = askMessageDown
	}
	x.startPass(x.filterPass(dir), filterPass{stage: stage, chunk: m.Data, opcode: m.Opcode, compress: m.Compressed})
	if !x.done && !x.claimMessages() {
		x.closeWebSocket(ByLimit, websocket.CodeTryAgain, "", errMemory.Error())
	}
	return !x.done && !x.filterPass(dir).held
}

// filterPass returns the filters of a direction.
func (x *Exchange) filterPass(dir Direction) *filterPass {
	if dir == Upstream {
		return &x.up
	}
	return &x.down
}

// waiting returns how many bytes wait for the receiver of a direction.
func (x *Exchange) waiting(dir Direction) int {
	switch {
	case dir == Downstream:
		return len(x.h.out)
	case x.server != nil:
		return len(x.server.out)
	}
	return 0
}

// askMessage asks a filter about a message.
func (x *Exchange) askMessage(a *filterPass, filter HTTPFilter) Verdict {
	f, ok := filter.(MessageFilter)
	if !ok {
		return Pass
	}
	return f.Message(x, a.stage.direction(), Message{Text: a.opcode == websocket.Text, Data: a.chunk})
}

// applyMessageVerdict carries out a verdict on a message; false if it goes no further.
func (x *Exchange) applyMessageVerdict(a *filterPass, name string, v Verdict) bool {
	v.answer.dispose() // there is nothing to answer
	switch {
	case x.websocket.flows[a.stage.direction()].closed || v.kind == verdictDrop:
		return false
	case v.kind == verdictPass:
	case v.kind == verdictReplace && a.opcode == websocket.Text && !utf8.Valid(v.data):
		x.h.c.failedBy(name)
		x.closeWebSocket(ByFilter, websocket.CodeInternalError, "", "filter "+name+": it replaces a text by what is not UTF-8")
		return false
	case v.kind == verdictReplace:
		a.chunk = v.data
	case v.kind == verdictDeny:
		x.closeWebSocket(ByFilter, websocket.CodePolicy, "", "filter "+name+": "+v.reason)
		return false
	case v.kind == verdictFail:
		x.h.c.failedBy(name)
		x.closeWebSocket(ByFilter, websocket.CodeInternalError, "", "filter "+name+": "+v.reason)
		return false
	default:
		x.h.c.failedBy(name)
		x.closeWebSocket(ByFilter, websocket.CodeInternalError, "", "filter "+name+": verdict "+v.String()+" does not suit a message")
		return false
	}
	a.next++
	return true
}

// passMessage sends a message on, behind the filters: compressed if it came so.
func (x *Exchange) passMessage(a *filterPass) {
	dir := a.stage.direction()
	f, payload := websocket.Frame{Opcode: a.opcode}, a.chunk
	if bits := x.websocket.flows[dir].bits; a.compress && bits > 0 {
		if zipped := x.h.w.deflater.Deflate(payload, bits); zipped != nil {
			f.Compressed, payload = true, zipped
		}
	}
	x.sendFrame(dir, f, payload)
	a.chunk = nil
}

// sendFrame puts a frame behind what is sent in a direction.
func (x *Exchange) sendFrame(dir Direction, f websocket.Frame, payload []byte) {
	f.Final = true
	if dir == Downstream {
		x.h.ensureOut()
		before := len(x.h.out)
		x.h.out = f.Append(x.h.out, payload)
		x.bytesDown += int64(len(x.h.out) - before)
		return
	}
	if s := x.server; s != nil && !x.peerClosed {
		f.Masked = true
		_, _ = rand.Read(f.Key[:]) // it never fails
		s.ensureOut()
		before := len(s.out)
		s.out = f.Append(s.out, payload)
		x.bytesUp += int64(len(s.out) - before)
	}
}

// passClose passes a close on.
func (x *Exchange) passClose(dir Direction, payload []byte) {
	x.websocket.flows[dir].closed = true
	x.sendFrame(dir, websocket.Frame{Opcode: websocket.Close}, payload)
	x.flushMessages()
}

// violated closes a WebSocket on which something is wrong.
func (x *Exchange) violated(dir Direction, err error) {
	code := websocket.CodeProtocolError
	if e := (*websocket.Error)(nil); errors.As(err, &e) {
		code = e.Code
	}
	sender, by := "the client", dir.side()
	if dir == Downstream {
		sender = x.target.address.String()
	}
	if code == websocket.CodeTooBig {
		by = ByLimit
	}
	x.closeWebSocket(by, code, "", fmt.Sprintf("%s: a message that is refused: %v", sender, err))
}

// closeWebSocket closes a WebSocket towards both sides, unless that has been done. Why,
// unless it is empty, goes to the log, and text to both sides.
func (x *Exchange) closeWebSocket(by EndedBy, code int, text, why string) {
	if x.websocket.isLingering() {
		return
	}
	counter := slices.Index(closeCodes[:], code)
	if counter < 0 {
		counter = len(closeCodes) - 1
	}
	x.h.c.listener.webSocketCloses[counter].Add(x.h.w.worker.Index(), 1)
	if x.reason == "" {
		x.by, x.reason = by, why
	}
	payload := websocket.AppendClose(make([]byte, 0, websocket.MaxControl), code, text)
	for dir := range x.websocket.flows {
		if f := &x.websocket.flows[dir]; !f.closed {
			f.closed = true
			x.sendFrame(Direction(dir), websocket.Frame{Opcode: websocket.Close}, payload)
		}
	}
	x.flushMessages()
}

// flushMessages sends what waits. Once a close has gone in both directions it is the
// server who ends the connection, within a time.
func (x *Exchange) flushMessages() {
	h, w := x.h, x.websocket
	if x.server != nil {
		x.server.flush()
	}
	h.flush()
	if x.done || w.lingering || !w.flows[Upstream].closed || !w.flows[Downstream].closed {
		return
	}
	w.lingering = true
	h.await(waitClose)
	x.endTunnel()
}

// webSocketExchange returns the exchange whose WebSocket the connection is.
func (c *Connection) webSocketExchange() (*Exchange, error) {
	h := c.clientConn()
	switch {
	case c.Ended():
		return nil, ErrTerminating
	case h == nil || h.x == nil || h.x.websocket == nil:
		return nil, ErrNotWebSocket
	}
	return h.x, nil
}

// SendMessage sends a message on a WebSocket whose messages are looked at, behind those
// that have been sent and before the one that is being looked at. No filter sees it. The
// data of a text must be UTF-8. It answers ErrQueueFull while more than 1 MiB would wait
// for the receiver, ErrTerminating when a close has been sent in that direction, and
// ErrNotWebSocket.
func (c *Connection) SendMessage(dir Direction, m Message) error {
	x, err := c.webSocketExchange()
	switch {
	case err != nil:
		return err
	case m.Text && !utf8.Valid(m.Data):
		return errors.New("the text is not UTF-8")
	case x.websocket.flows[dir].closed:
		return ErrTerminating
	case x.waiting(dir)+len(m.Data) > maxInjected:
		return ErrQueueFull
	}
	f := websocket.Frame{Opcode: websocket.Binary}
	if m.Text {
		f.Opcode = websocket.Text
	}
	x.sendFrame(dir, f, m.Data)
	x.flushMessages()
	return nil
}

// CloseWebSocket closes a WebSocket whose messages are looked at towards both sides, with
// a code that may be sent (1000 to 1003, 1007 to 1014, 3000 to 4999) and a reason, of
// which the first 123 bytes are sent. Closing again does nothing. It answers
// ErrNotWebSocket on another connection.
func (c *Connection) CloseWebSocket(code int, reason string) error {
	x, err := c.webSocketExchange()
	switch {
	case err != nil:
		return err
	case !websocket.ValidCode(code) || !utf8.ValidString(reason):
		return fmt.Errorf("code %d with the reason %q cannot be sent", code, reason)
	}
	x.closeWebSocket(ByFilter, code, reason, "")
	return nil
}
