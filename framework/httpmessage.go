package framework

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"fwx/framework/wire/websocket"
)

// MessageFilter is an HTTPFilter that sees the messages of connections that were upgraded to a
// WebSocket. Without such a filter the connection is a tunnel.
type MessageFilter interface {
	// Message is called with a message, joined from its fragments and decompressed. Its
	// verdict is Pass; Replace, which sends a message of the same kind instead; Drop; Deny,
	// which closes the WebSocket with 1008; Fail, which closes it with 1011; or Hold, after
	// which Exchange.Resume gives another. The data is valid until the verdict has been
	// given.
	Message(x *Exchange, dir Direction, m Message) Verdict
}

// Message is a message of a WebSocket.
type Message struct {
	Text bool // the message is UTF-8 text; otherwise it is binary
	Data []byte
}

// ErrNotWebSocket is returned by Connection.SendMessage and Connection.CloseWebSocket on a
// connection that is not a WebSocket, or one whose messages no filter sees.
var ErrNotWebSocket = errors.New("the connection is not a WebSocket whose messages filters see")

// webSocket is an upgraded connection whose messages filters see.
type webSocket struct {
	flows     [2]messageFlow
	lingering bool // close frames have been sent both ways; only the ends of the streams are awaited
}

// isLingering reports whether the connection is a WebSocket that waits for its streams to end.
func (w *webSocket) isLingering() bool { return w != nil && w.lingering }

// messageFlow is one direction of a WebSocket.
type messageFlow struct {
	reader *websocket.Reader
	bits   int  // the receiver's compression window; 0: it does not accept compressed messages
	closed bool // a close frame has been sent
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

// narrowExtensions removes all extensions from a request for a WebSocket that the gateway does
// not support.
func (x *Exchange) narrowExtensions() {
	offer := websocket.Offer(fieldValues(&x.request.Header, "sec-websocket-extensions")...)
	x.request.Remove(fieldExtensions)
	if offer != "" {
		x.request.Add(fieldExtensions, offer)
	}
}

// watchMessages shows the messages of a new WebSocket to the filters, if one of them wants to
// see them.
func (x *Exchange) watchMessages() error {
	if !x.seesMessages() {
		return nil
	}
	const name = "sec-websocket-extensions"
	offer := string(x.request.Get(name)) // narrowed by narrowExtensions
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

// takeMessage parses a part of what one side has sent. It returns false if it must wait.
func (x *Exchange) takeMessage(dir Direction, rest *[]byte) bool {
	f := &x.websocket.flows[dir]
	switch {
	case f.closed: // data after a close frame is ignored
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

// filterPass returns the pass of the filters in a direction.
func (x *Exchange) filterPass(dir Direction) *filterPass {
	if dir == Upstream {
		return &x.up
	}
	return &x.down
}

// waiting returns how many bytes wait to be sent in a direction.
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

// applyMessageVerdict carries out a verdict on a message. It returns false if the pass does
// not continue.
func (x *Exchange) applyMessageVerdict(a *filterPass, name string, v Verdict) bool {
	v.answer.dispose() // a message cannot be answered
	switch {
	case x.websocket.flows[a.stage.direction()].closed || v.kind == verdictDrop:
		return false
	case v.kind == verdictPass:
	case v.kind == verdictReplace && a.opcode == websocket.Text && !utf8.Valid(v.data):
		x.h.c.failedBy(name)
		x.closeWebSocket(ByFilter, websocket.CodeInternalError, "", "filter "+name+": it replaced a text message with data that is not UTF-8")
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

// passMessage sends a message after the filters, compressed if it arrived so.
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

// sendFrame appends a frame to the bytes to be sent in a direction.
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
		_, _ = rand.Read(f.Key[:]) // Read never returns an error
		s.ensureOut()
		before := len(s.out)
		s.out = f.Append(s.out, payload)
		x.bytesUp += int64(len(s.out) - before)
	}
}

// passClose forwards a close frame.
func (x *Exchange) passClose(dir Direction, payload []byte) {
	x.websocket.flows[dir].closed = true
	x.sendFrame(dir, websocket.Frame{Opcode: websocket.Close}, payload)
	x.flushMessages()
}

// violated closes a WebSocket after a violation of its protocol.
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
	x.closeWebSocket(by, code, "", fmt.Sprintf("%s: refused message: %v", sender, err))
}

// closeWebSocket sends a close frame to both sides, unless that has been done. why, unless it
// is empty, is logged; text is sent to both sides.
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

// flushMessages sends what has been gathered. Once close frames have been sent in both
// directions, the server is to close the connection, within a time.
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

// webSocketExchange returns the exchange that was upgraded to a WebSocket.
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

// SendMessage sends a message on a WebSocket whose messages filters see, after those that have
// been sent and before the one that is being filtered. No filter sees it. The data of a text
// must be UTF-8. It returns ErrQueueFull if more than 1 MiB would wait for the receiver,
// ErrTerminating if a close frame has been sent in that direction, and ErrNotWebSocket.
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

// CloseWebSocket closes a WebSocket whose messages filters see, towards both sides, with a
// code that may be sent (1000 to 1003, 1007 to 1014, 3000 to 4999) and a reason, of which the
// first 123 bytes are sent. Closing it again does nothing. It returns ErrNotWebSocket on any
// other connection.
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
