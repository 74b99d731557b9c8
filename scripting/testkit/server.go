package testkit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/completion"
	"fwx/framework/completion/fake"
)

// server is a server that the test plays.
type server struct {
	test     *test
	address  netip.AddrPort
	listener *fake.Listener
	object   *lua.LUserData
	accepted []*peer // and not taken by server:accept
	count    int     // of all that have connected
	serve    func(p *peer)
	signs    *authority  // of TLS; nil: nothing is encrypted
	requests *lua.LTable // of HTTP
}

// String names the server in messages.
func (s *server) String() string { return "the server " + s.address.String() }

// place is where a server is.
type place struct {
	netip.AddrPort

	secured bool // it speaks TLS
}

// parsePlace reads "10.0.0.5:80", which may have "tcp://" or "tls://" before it.
func parsePlace(text string) (at place, err error) {
	rest, secured := strings.CutPrefix(text, "tls://")
	if at.secured = secured; !secured {
		rest = strings.TrimPrefix(text, "tcp://")
	}
	at.AddrPort, err = netip.ParseAddrPort(rest)
	if err != nil {
		err = fmt.Errorf(`an address such as "10.0.0.5:80" or "tls://10.0.0.5:443" expected, got %q`, text)
	}
	return at, err
}

// listen makes a server, whose connections serve is told of; nil: the test does it all.
func (t *test) listen(at place, serve func(*peer)) (*server, error) {
	address := at.AddrPort
	if t.serverAt(address) != nil {
		return nil, fmt.Errorf("there is a server at %s already", address)
	}
	l, err := t.machine.Listen(completion.Address{AddrPort: address})
	if err != nil {
		return nil, err
	}
	s := &server{test: t, address: address, listener: l, serve: serve}
	if at.secured {
		if s.signs, err = theAuthority(); err != nil {
			return nil, err
		}
	}
	s.object = &lua.LUserData{Value: s, Metatable: t.classes[serverClass], Env: t.L.Env}
	t.servers = append(t.servers, s)
	return s, nil
}

// serverAt returns the server at an address; nil: there is none.
func (t *test) serverAt(address netip.AddrPort) *server {
	i := slices.IndexFunc(t.servers, func(s *server) bool { return s.address == address })
	if i < 0 {
		return nil
	}
	return t.servers[i]
}

// admit takes the connections that have come; it reports whether there were any.
func (s *server) admit() (moved bool) {
	for {
		socket, ok := s.listener.Accept()
		if !ok {
			return moved
		}
		p := s.test.addPeer(socket, peerClass)
		p.server = s
		if s.signs != nil {
			p.tls = encryptServer(s.signs, s.address.Addr())
		}
		p.connection() // looked for now: at its end its addresses are gone
		s.accepted = append(s.accepted, p)
		s.count++
		if s.serve != nil {
			s.serve(p)
		}
		moved = true
	}
}

// answerWith has each connection answered by a function of the test.
func answerWith(f *lua.LFunction) func(*peer) {
	return func(p *peer) {
		p.answer = func() {
			if data := string(p.fresh); data != "" { // otherwise it is the end
				p.fresh = nil
				p.reply(p.test.call(f, p.object, lua.LString(data)))
			}
		}
	}
}

// reply sends what a function of the test has returned.
func (p *peer) reply(v lua.LValue) {
	switch v := v.(type) {
	case *lua.LNilType:
	case lua.LString:
		if err := p.send(string(v)); err != nil {
			p.test.note(err)
		}
	default:
		p.test.note(fmt.Errorf("the function of %s returned %s; wants a string or nil", p.server, describe(v)))
	}
}

// note notes the first thing that went wrong where nobody could be told.
func (t *test) note(err error) {
	if t.problem == nil {
		t.problem = err
	}
}

// answerHTTP has each request answered by what a function of the test returns, or by
// the same response.
func answerHTTP(reply lua.LValue) func(*peer) {
	return func(p *peer) {
		p.answer = func() {
			for more := true; more && !p.playing && p.answer != nil; { // there may be several
				more = p.serveRequest(reply)
			}
		}
	}
}

// serveRequest answers a request, if all of one has come.
func (p *peer) serveRequest(reply lua.LValue) bool {
	in := bytes.NewReader(p.fresh)
	reader := bufio.NewReader(in)
	request, err := http.ReadRequest(reader)
	if err != nil {
		return p.notWhole(err)
	}
	content, err := io.ReadAll(request.Body)
	if err != nil {
		return p.notWhole(err)
	}
	table := p.test.requestTable(request, headOf(p.fresh), content)
	p.fresh = p.fresh[len(p.fresh)-in.Len()-reader.Buffered():]
	p.server.requests.Append(table)
	response := reply
	if f, ok := reply.(*lua.LFunction); ok {
		response = p.test.call(f, table, p.object)
	}
	if response == lua.LNil { // there is no answer
		return true
	}
	m, err := parseResponse(response)
	if err != nil {
		p.test.note(fmt.Errorf("what %s answers: %w", p.server, err))
		return false
	}
	p.respond(request, &m)
	return true
}

// notWhole waits for the rest of a request; what is none is a mistake.
func (p *peer) notWhole(err error) bool {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		p.test.note(fmt.Errorf("%s was sent what is no request of HTTP: %w", p.server, err))
		p.fresh = nil
	}
	return false
}

// requestTable returns a request as the functions of tests see it.
func (t *test) requestTable(r *http.Request, head string, content []byte) *lua.LTable {
	table := t.L.NewTable()
	table.RawSetString("method", lua.LString(r.Method))
	table.RawSetString("target", lua.LString(r.RequestURI))
	table.RawSetString("host", lua.LString(r.Host))
	table.RawSetString("headers", headerTable(t.L, head))
	table.RawSetString("body", lua.LString(content))
	return table
}

// respond sends a response. Behind one that switches protocols the test does the rest.
func (p *peer) respond(request *http.Request, m *httpMessage) {
	m.bare = m.bare || request.Method == http.MethodHead
	if strings.HasPrefix(m.line, "HTTP/1.1 101 ") {
		p.answer, p.in, p.fresh = nil, p.fresh, nil
	}
	p.play(m, func() {
		if p.answer != nil {
			p.answer()
		}
	})
}
