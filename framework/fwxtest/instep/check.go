package instep

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// checkRequest looks at a request that a server has had all of.
func (g *rig) checkRequest(n int, m message) {
	g.t.Helper()
	if n >= len(g.requests) {
		g.fail("a server has had request %d, which nobody has sent", n)
		return
	}
	q := g.requests[n]
	g.rec.mu.Lock()
	defer g.rec.mu.Unlock()
	e := g.rec.seen[m.header.Get("X-Request-Id")]
	switch {
	case !q.whole:
		g.fail("a server has had all of request %d, of which not all was sent", n)
	case e == nil || e.n != n:
		g.fail("a server has had request %d with the id %q of another", n, m.header.Get("X-Request-Id"))
	case e.bodies && m.body != string(e.up):
		g.fail("a server has had request %d with the body %.200q, and the filters have let pass %.200q", n, m.body, e.up)
	case !e.bodies && m.body != q.body:
		g.fail("a server has had request %d with the body %.200q, and the client has sent %.200q", n, m.body, q.body)
	}
	answers := g.answers[n]
	if len(answers) > 1 && (answers[len(answers)-2].text != "" || m.body != "") {
		g.fail("a server has had request %d a second time", n)
	}
}

// checkResponses looks at all that a client has had when its connection has ended.
func (g *rig) checkResponses(c *client) {
	g.t.Helper()
	text, last, incomplete := c.text.String(), message{}, false
	if !c.over {
		g.fail("the connection does not end")
		return
	}
	s := &stream{Response: true, Text: []byte(text), Over: !c.reset}
	for _, q := range g.requests[c.first : c.first+c.count] {
		s.Methods = append(s.Methods, q.method)
	}
	g.streams = append(g.streams, s)
	got := 0
	for ; text != ""; got++ {
		if got == c.count {
			g.fail("more than the %d answers that were asked for: %.200q", c.count, text)
			return
		}
		q := g.requests[c.first+got]
		m, used, err := s.readFinal(text, q)
		switch {
		case errors.Is(err, errIncomplete):
			incomplete = true
		case err != nil:
			g.fail("the answer to request %d (%s) is %.300q: %v", q.n, q.method, text, err)
			return
		}
		if last.status != 0 && last.close {
			g.fail("an answer behind one that ends the connection: %.300q", text)
		}
		if g.checkResponse(q, m, err == nil); err != nil {
			got++
			break
		}
		last, text = m, text[used:]
		if m.status == http.StatusSwitchingProtocols {
			s.Text = s.Text[:s.end()]
			g.checkTunnel(c, q, text)
			return
		}
	}
	switch {
	case c.reset || incomplete:
	case got < c.count && g.requests[c.first+got].whole && !last.close:
		g.fail("the connection has ended without a word before request %d was answered", c.first+got)
	}
}

// readFinal reads the response to a request at the beginning of what is left of the
// stream, with the interim ones before it.
func (s *stream) readFinal(text string, q request) (m message, used int, err error) {
	for {
		m, n, err := readResponse(text[used:], q.method, s.Over)
		used += n
		if err == nil || errors.Is(err, errIncomplete) && m.status != 0 {
			s.add(m, s.end()+n, err == nil)
		}
		if err != nil || m.status >= 200 || m.status == http.StatusSwitchingProtocols {
			return m, used, err
		}
		if q.minor == 0 {
			return m, used, errors.New("an interim response for a client of HTTP/1.0")
		}
	}
}

// checkSwitched looks at what a server has had after its switch.
func (g *rig) checkSwitched(c *serverConn, text string) {
	g.t.Helper()
	if q := g.requests[c.n]; text != q.tunnel && (q.spoken && !c.answer.close || !strings.HasPrefix(q.tunnel, text)) {
		g.fail("after the switch the server has had %.200q (%d), not %.200q (%d)", text, len(text), q.tunnel, len(q.tunnel))
	}
}

// checkTunnel looks at what a client has had after the switch that it has asked for.
func (g *rig) checkTunnel(c *client, q request, text string) {
	g.t.Helper()
	a := &answer{}
	if answers := g.answers[q.n]; len(answers) > 0 {
		a = answers[len(answers)-1]
	}
	switch {
	case q.tunnel == "" || a.tunnel == "":
		g.fail("the protocol is switched for request %d, for which it was not to be", q.n)
	case text != a.tunnel && (!c.reset && !a.reset || !strings.HasPrefix(a.tunnel, text)):
		g.fail("after the switch the client has had %.200q (%d), not %.200q (%d)", text, len(text), a.tunnel, len(a.tunnel))
	}
}

// checkResponse looks at a response to a request; whole says that it is complete.
func (g *rig) checkResponse(q request, m message, whole bool) {
	g.t.Helper()
	g.rec.mu.Lock()
	defer g.rec.mu.Unlock()
	e := g.rec.seen[m.header.Get("X-Request-Id")]
	switch n := m.header.Get("N"); {
	case m.status == 0:
		return
	case e == nil && q.whole, e != nil && e.n != q.n, n != "" && n != strconv.Itoa(q.n):
		g.fail("the answer to request %d is that to another: %v", q.n, m.header)
		return
	case q.minor == 0 && m.header.Get("Transfer-Encoding") != "":
		g.fail("chunks for a client of HTTP/1.0")
	}
	if !whole || q.method == "HEAD" || m.status == 204 || m.status == 205 || m.status == 304 {
		return
	}
	if i, err := strconv.Atoi(m.header.Get("Answer")); err == nil {
		if m.body != g.rec.answers[i] {
			g.fail("the answer to request %d has the body %.200q, not %.200q", q.n, m.body, g.rec.answers[i])
		}
		return
	}
	if m.header.Get("N") == "" {
		return // a page about an error
	}
	answers := g.answers[q.n]
	a := answers[len(answers)-1]
	want := a.body
	if e.bodies {
		want = string(e.down)
	}
	switch {
	case !a.whole && !e.dropped:
		g.fail("the answer to request %d is complete, and that of the server was not", q.n)
	case m.body != want:
		g.fail("the answer to request %d has the body %.200q, not %.200q", q.n, m.body, want)
	}
}
