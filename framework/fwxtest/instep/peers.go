package instep

import (
	"strconv"
	"strings"

	"fwx/framework/completion/fake"
)

// peer is the other end of a connection of the gateway.
type peer struct {
	*fake.Socket

	text  strings.Builder // that has come
	over  bool            // nothing more comes
	reset bool            // in a rude way
	out   string          // to be sent
}

// receive takes what has come; false: nothing has.
func (p *peer) receive() (some bool) {
	buf := make([]byte, 32<<10)
	for !p.over {
		n, err := p.Receive(buf)
		p.text.Write(buf[:n])
		some = some || n > 0
		switch {
		case err == fake.ErrEmpty: //nolint:errorlint // it is that one
			return some
		case n == 0:
			p.over, p.reset, some = true, err != nil, true
		}
	}
	return some
}

// send sends up to n bytes of what is to be sent, and returns how many there was room for.
func (p *peer) send(n int) int {
	sent, err := p.Send([]byte(p.out[:min(n, len(p.out))]))
	if err != nil && err != fake.ErrFull { //nolint:errorlint // it is that one
		p.out = ""
		return 0
	}
	p.out = p.out[sent:]
	return sent
}

// server is a server.
type server struct {
	rig      *rig
	address  string
	listener *fake.Listener
	conns    []*serverConn
}

type serverConn struct {
	peer

	stream  stream // without the text
	answer  *answer
	n       int // of the request that is answered
	started bool
	closed  bool
}

// turn does what a server does with what has come; false: there is nothing to do.
func (s *server) turn() (busy bool) {
	for {
		socket, ok := s.listener.Accept()
		if !ok {
			break
		}
		s.conns, busy = append(s.conns, &serverConn{peer: peer{Socket: socket}}), true
	}
	for _, c := range s.conns {
		busy = s.serve(c) || busy
	}
	return busy
}

// serve does what a server does with what has come on a connection.
func (s *server) serve(c *serverConn) (busy bool) {
	if c.closed {
		return false
	}
	busy = c.receive()
	if c.out != "" {
		return c.send(1+s.rig.r.IntN(40_000)) > 0 || busy
	}
	if c.answer != nil && c.started {
		if c.answer.close {
			s.rig.note("server %s ends the connection, reset %v", s.address, c.answer.reset)
			c.closed = true
			if c.answer.reset {
				c.Reset()
			} else {
				c.Close()
			}
			return true
		}
	}
	if c.switched() {
		return busy // what comes is not HTTP
	}
	if !busy && c.answer == nil {
		return false
	}
	m, used, err := readRequest(c.text.String()[c.stream.end():])
	switch {
	case err != nil && err != errIncomplete: //nolint:errorlint // it is that one
		s.rig.fail("the server has had %q: %v", c.text.String()[c.stream.end():], err)
		c.closed = true
		c.Reset()
		return true
	case m.method == "":
		return busy
	}
	if c.answer == nil {
		c.n, _ = strconv.Atoi(m.header.Get("N")) // the client has given one
		if c.answer = newAnswer(s.rig.r, m.header.Get("N"), m.method); m.header.Get("Upgrade") != "" && chance(s.rig.r, 60) {
			c.answer = newSwitch(s.rig.r, m.header.Get("N"))
		}
		s.rig.answers[c.n] = append(s.rig.answers[c.n], c.answer)
	}
	if !c.started && (err == nil || c.answer.early) {
		c.started, busy, c.out = true, true, c.answer.text+c.answer.tunnel
		s.rig.note("server %s answers %d (%s): %.300q, whole %v, close %v", s.address, c.n, m.method, c.out, c.answer.whole, c.answer.close)
	}
	if err == nil {
		s.rig.checkRequest(c.n, m)
		c.stream.add(m, c.stream.end()+used, true)
		if !c.answer.close && c.answer.tunnel == "" {
			c.answer, c.started = nil, false
		}
		return true
	}
	return busy
}

// switched reports whether the server has switched protocols.
func (c *serverConn) switched() bool { return c.started && c.answer != nil && c.answer.tunnel != "" }

// had returns the stream that a connection has had.
func (g *rig) had(c *serverConn) *stream {
	g.t.Helper()
	s, text := &c.stream, c.text.String()
	if c.switched() {
		g.checkSwitched(c, text[s.end():])
		text = text[:s.end()]
	}
	s.Text = []byte(text)
	if m, used, err := readRequest(text[s.end():]); m.method != "" {
		s.add(m, s.end()+used, err == nil)
	}
	return s
}
