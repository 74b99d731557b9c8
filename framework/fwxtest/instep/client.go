package instep

import (
	"net/netip"
	"strings"
	"time"
)

// client is a connection of a client, with what it asks.
type client struct {
	peer

	first, count int  // of the requests
	silent, left bool // it sends nothing more; it is gone
}

// fail reports what went wrong.
func (g *rig) fail(format string, args ...any) {
	g.t.Helper()
	g.t.Errorf("seed %d: "+format, append([]any{g.seed}, args...)...)
}

// connection plays a client with a few requests.
func (g *rig) connection() {
	g.t.Helper()
	c := &client{first: len(g.requests), count: 1 + g.r.IntN(4)}
	var text strings.Builder
	for i := range c.count {
		q := newRequest(g.r, len(g.requests))
		if i == c.count-1 && chance(g.r, 15) {
			q = newUpgrade(g.r, len(g.requests))
		}
		g.requests = append(g.requests, q)
		text.WriteString(q.text)
	}
	c.out = text.String()
	truncated := chance(g.r, 12)
	if truncated {
		c.out = c.out[:g.r.IntN(len(c.out))]
		for i, end := c.first, 0; i < len(g.requests); i++ {
			q := &g.requests[i]
			if line := strings.Index(q.text, "\r\n") + 2; end+line > len(c.out) {
				q.method = "GET" // which it is, nobody can know
			}
			end += len(q.text)
			q.whole = end <= len(c.out)
		}
	}
	var err error
	if c.Socket, err = g.fake.Dial(netip.MustParseAddrPort("198.51.100.7:0"), g.fw.ListenAddress("in")); err != nil {
		g.t.Fatal(err)
	}
	g.note("--- a client asks %.500q, truncated %v", c.out, truncated)
	g.speak(c)
	g.speakOn(c)
	if truncated || chance(g.r, 8) {
		g.leave(c)
	}
	for end := g.fake.Elapsed() + time.Hour; !c.over && !c.left && g.fake.Elapsed() < end; {
		g.pass(10 * time.Second)
		c.receive()
		g.speakOn(c)
	}
	if !c.left {
		g.note("the client has had %.1000q, over %v, reset %v", c.text.String(), c.over, c.reset)
		g.checkResponses(c)
	}
	c.Close()
	g.settle()
}

// speak sends what the client asks, in pieces.
func (g *rig) speak(c *client) {
	g.t.Helper()
	most := 1 + g.r.IntN(pick(g.r, 3, 100, 10_000, 200_000))
	if len(c.out)/most > 300 {
		most = len(c.out)/300 + 1
	}
	for stuck := 0; c.out != "" && stuck < 1000; {
		if c.send(1+g.r.IntN(most)) == 0 {
			stuck++
		} else {
			stuck = 0
		}
		switch {
		case stuck > 0 || chance(g.r, 40):
			g.settle()
		case chance(g.r, 10):
			g.pass(time.Duration(g.r.IntN(50)) * time.Millisecond)
		}
		if stuck > 0 || chance(g.r, 70) {
			c.receive()
		}
		if stuck > 100 { // it is kept waiting
			g.pass(time.Second)
			if c.receive(); c.over {
				return
			}
		}
	}
	g.settle()
	c.receive()
}

// speakOn sends what the client has to say once the protocol is switched, of which nothing
// that it is answered otherwise looks like.
func (g *rig) speakOn(c *client) {
	g.t.Helper()
	if q := &g.requests[len(g.requests)-1]; !q.spoken && !c.silent && strings.Contains(c.text.String(), "HTTP/1.1 101 ") {
		q.spoken, c.out = true, q.tunnel
		g.speak(c)
	}
}

// leave ends what the client sends, or all of the connection, or neither.
func (g *rig) leave(c *client) {
	g.t.Helper()
	switch g.r.IntN(3) {
	case 0:
		c.silent = true
		_ = c.CloseSend() // it may be over
	case 1:
		c.left = true
		g.requests[len(g.requests)-1].spoken = false // what is on its way may be lost
		c.Reset()
	}
	g.settle()
}
