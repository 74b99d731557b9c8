package testkit

import (
	"fmt"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/wire/websocket"
)

// maxMessage bounds a message that a test reads.
const maxMessage = 64 << 20

// messageKinds are the kinds of messages of a WebSocket by their names.
var messageKinds = map[string]websocket.Opcode{
	"text": websocket.Text, "binary": websocket.Binary, "close": websocket.Close, "ping": websocket.Ping, "pong": websocket.Pong,
}

var messageMethods = []binding{
	{
		"send_message", peerSendMessage, "(data: string, kind?: \"text\"|\"binary\"|\"ping\"|\"pong\")",
		"Sends a message of a WebSocket, a text unless `kind` says otherwise. The test has made the connection one: it has sent the request for " +
			"that, and the answer.",
	},
	{
		"receive_message", peerReceiveMessage, "() -> data: string?, kind: \"text\"|\"binary\"|\"close\"|\"ping\"|\"pong\"|nil, code: integer?",
		"The next message of a WebSocket that has come; `nil` if none has. Of a close it is the reason, with the code.",
	},
}

func peerSendMessage(t *test, L *lua.LState) int {
	p, data := argPeer(L), argString(L, 2)
	kind, ok := messageKinds[L.OptString(3, "text")]
	if !ok || kind == websocket.Close {
		L.ArgError(3, fmt.Sprintf(`"text", "binary", "ping" or "pong" expected, got %q`, L.Get(3)))
	}
	f := websocket.Frame{Opcode: kind, Final: true, Masked: p.server == nil}
	if err := p.send(string(f.Append(nil, []byte(data)))); err != nil {
		t.raise(L, err)
	}
	t.settleUnlessServing(L)
	return 0
}

func peerReceiveMessage(t *test, L *lua.LState) int {
	p := argPeer(L)
	t.settleUnlessServing(L)
	if p.awaitsAnswer() {
		return give(L, lua.LNil)
	}
	if p.messages == nil {
		p.messages = websocket.NewReader(p.server != nil, maxMessage, nil, false)
	}
	n, m, done, err := p.messages.Next(p.in)
	p.in = p.in[n:]
	switch {
	case err != nil:
		t.raise(L, fmt.Errorf("%s: what has come is no message of a WebSocket: %w", p, err))
	case !done:
		return give(L, lua.LNil)
	}
	if m.Opcode == websocket.Close {
		code, reason, _ := websocket.ParseClose(m.Data) // the reader has looked
		L.Push(lua.LString(reason))
		L.Push(lua.LString("close"))
		L.Push(lua.LNumber(code))
		return 3
	}
	L.Push(lua.LString(m.Data))
	for name, kind := range messageKinds {
		if kind == m.Opcode {
			L.Push(lua.LString(name))
		}
	}
	return 2
}
