package testkit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	lua "github.com/yuin/gopher-lua"
)

// exchange is a request that the test has made as a client, and what has come of the
// response.
type exchange struct {
	peer     *peer
	method   string
	object   *lua.LUserData
	status   int    // 0: there is no head yet
	head     string // as it was received
	body     string
	complete bool
}

// requestOptions are the options of requests.
var requestOptions = append([]string{"method", "path", "host"}, messageOptions...)

// ask makes a request on a client's connection.
func (p *peer) ask(L *lua.LState, o options) *exchange {
	m := httpMessage{}
	if o.table != nil {
		var err error
		if m, err = parseMessage(o.table); err != nil {
			o.L.ArgError(o.n, err.Error())
		}
	}
	method, path, host := o.text("method"), o.text("path"), o.text("host")
	setDefault(&method, http.MethodGet)
	setDefault(&path, "/")
	setDefault(&host, defaultHost)
	if p.ended || p.playing {
		p.test.fail(L, "%s cannot send a request: it was ended, or another request is still being sent", p)
	}
	m.line = method + " " + path + " HTTP/1.1"
	m.bare = len(m.body.parts) == 0 && !m.cut
	if !m.has("host") {
		m.fields = slices.Insert(m.fields, 0, "Host: "+host)
	}
	x := &exchange{peer: p, method: method}
	x.object = &lua.LUserData{Value: x, Metatable: p.test.classes[exchangeClass], Env: L.Env}
	p.requests = append(p.requests, x)
	p.play(&m, func() {})
	return x
}

// defaultHost is whom requests are for.
const defaultHost = "example.com"

// awaitsAnswer takes the answers to requests out of what has come, and reports whether
// one is not complete.
func (p *peer) awaitsAnswer() bool {
	for len(p.requests) > 0 {
		x := p.requests[0]
		x.read()
		if !x.complete {
			return true
		}
		p.requests = p.requests[1:]
	}
	return false
}

// read reads the response, as far as it has come.
func (x *exchange) read() {
	for x.readOne() && x.status < http.StatusOK && x.status != http.StatusSwitchingProtocols {
		x.status = 0 // an interim response, which another follows
	}
}

// readOne reads a response, and takes it out of what has come if it is whole.
func (x *exchange) readOne() bool {
	p := x.peer
	in := bytes.NewReader(p.in)
	reader := bufio.NewReader(in)
	x.complete = false
	response, err := http.ReadResponse(reader, &http.Request{Method: x.method})
	if err != nil {
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			p.test.note(fmt.Errorf("%s was answered by what is no response of HTTP: %w", p, err))
		}
		return false
	}
	defer func() { _ = response.Body.Close() }() // it is in memory
	x.status, x.head = response.StatusCode, headOf(p.in)
	untilClose := false
	if x.status >= http.StatusOK {
		var content []byte
		content, err = io.ReadAll(response.Body)
		x.body = string(content)
		untilClose = response.ContentLength < 0 && len(response.TransferEncoding) == 0 && x.method != http.MethodHead
	}
	if x.complete = err == nil && (!untilClose || p.state != stateOpen); x.complete {
		p.in = p.in[len(p.in)-in.Len()-reader.Buffered():]
	}
	return x.complete
}

// argExchange returns the exchange that a field is of, with what has come of it.
func argExchange(t *test, L *lua.LState) *exchange {
	x := argObject[*exchange](L, 1, "exchange")
	t.settleUnlessServing(L)
	x.peer.awaitsAnswer()
	return x
}

// exchangeField makes a field of the function that returns it.
func exchangeField(get func(*exchange, *lua.LState) lua.LValue) func(*test, *lua.LState) int {
	return func(t *test, L *lua.LState) int { return give(L, get(argExchange(t, L), L)) }
}

var exchangeFields = []binding{
	{"conn", exchangeField(func(x *exchange, _ *lua.LState) lua.LValue { return x.peer.object }), "conn", "The connection that it was made on."},
	{
		"status", exchangeField(func(x *exchange, _ *lua.LState) lua.LValue {
			if x.status == 0 {
				return lua.LNil
			}
			return lua.LNumber(x.status)
		}), "integer?", "The status of the response; `nil`: it has not come yet.",
	},
	{
		"headers", exchangeField(func(x *exchange, L *lua.LState) lua.LValue { return headerTable(L, x.head) }), "table",
		"Its headers: by their names in lower case, and as a list the lines as they have come.",
	},
	{
		"body", exchangeField(func(x *exchange, _ *lua.LState) lua.LValue { return lua.LString(x.body) }), "string",
		"What has come of its body, without the framing.",
	},
	{"complete", exchangeField(func(x *exchange, _ *lua.LState) lua.LValue { return lua.LBool(x.complete) }), "boolean", "Whether all of it has come."},
}

func tRequest(t *test, L *lua.LState) int {
	o := argOptions(L, 2, slices.Concat(connectOptions, requestOptions)...)
	p := t.dial(L, o)
	return t.request(L, p, o)
}

func connRequest(t *test, L *lua.LState) int {
	return t.request(L, argPeer(L), argOptions(L, 2, requestOptions...))
}

func (t *test) request(L *lua.LState, p *peer, o options) int {
	x := p.ask(L, o)
	t.settle(L)
	return give(L, x.object)
}
