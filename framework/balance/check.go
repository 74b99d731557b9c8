package balance

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"time"

	"fwx/framework/completion"
	"fwx/framework/tlsstream"
)

// health is what the checks of a server have come to.
type health struct {
	known bool // there has been one
	good  int  // in a row
	bad   int
}

// judge takes the result of a check of a server that is down or not, and returns whether
// it is down now. The first check decides by itself.
func (h *health) judge(ok, down bool, rise, fall int) bool {
	if !h.known {
		h.known, rise, fall = true, 1, 1
	}
	if ok {
		h.good, h.bad = min(h.good+1, rise), 0
		return down && h.good < rise
	}
	h.good, h.bad = 0, min(h.bad+1, fall)
	return down || h.bad >= fall
}

// stream is a socket, or TLS over one.
type stream interface {
	Recv(o *completion.Overlapped) error
	Send(o *completion.Overlapped, data []byte) error
	Close() error
}

// Handshake begins a TLS handshake with a server that was connected, which a
// configuration calls by a text. It is otherwise like tlsstream.Client.
type Handshake func(socket *completion.Socket, server string, done func(error)) (*tlsstream.Stream, error)

// check checks a server, again and again.
type check struct {
	server *Server
	config *CheckConfig
	next   *completion.Timer // begins a check
	limit  *completion.Timer // ends one

	connect, send, recv *completion.Overlapped

	side      stream            // what was connected
	handshake *tlsstream.Stream // instead, while the TLS handshake goes on
	request   []byte
	head      []byte // the first bytes of the response
	first     bool   // no check has ended yet
	running   bool   // its result is not known yet
	stopped   bool
}

// startCheck begins to check a server.
func (s *Server) startCheck() {
	w := s.home
	c := &check{server: s, config: s.upstream.config.Check, first: true}
	c.next, c.limit = w.NewTimer(c.begin), w.NewTimer(c.late)
	for _, o := range []struct {
		overlapped **completion.Overlapped
		done       completion.CompletionFunc
	}{{&c.connect, c.connected}, {&c.send, c.sent}, {&c.recv, c.received}} {
		*o.overlapped = w.CreateOverlapped()
		if err := (*o.overlapped).SetNotificationInterface(o.done, nil); err != nil {
			panic(err) // it is new
		}
	}
	if c.config.Kind == CheckHTTP {
		c.request = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: fwx\r\nAccept: */*\r\nConnection: close\r\n\r\n", c.config.Path, c.host())
	}
	s.check = c
	c.begin()
}

// host returns the host that a request names.
func (c *check) host() string {
	if c.config.Host != "" {
		return c.config.Host
	}
	if t := c.server.Target(); t.Host != "" {
		return net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port)))
	}
	if c.server.address.IsUnix() {
		return "localhost"
	}
	return c.server.address.String()
}

// stopCheck ends the checks of a server.
func (s *Server) stopCheck() {
	c := s.check
	if c == nil {
		return
	}
	s.check = nil
	c.stopped, c.running = true, false
	c.next.Stop()
	c.limit.Stop()
	c.hangUp()
}

// begin begins one check.
func (c *check) begin() {
	c.running = true
	c.limit.Reset(c.config.Timeout)
	if err := c.server.home.Connect(c.connect, c.server.address); err != nil {
		c.result(err)
	}
}

// late ends a check that takes too long.
func (c *check) late() { c.result(fmt.Errorf("no answer within %v", c.config.Timeout)) }

// hangUp ends what is in flight.
func (c *check) hangUp() {
	if c.connect.InFlight() {
		_ = c.connect.Cancel() // in flight
	}
	if c.handshake != nil {
		c.handshake.Abort(completion.ErrOperationAborted)
	}
	if c.side != nil {
		_ = c.side.Close() // it is open
		c.side = nil
	}
}

func (c *check) connected(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
	socket, ok := o.TakeValue().(*completion.Socket)
	if ok {
		c.side = socket
	}
	handshake := c.server.upstream.handshake.Load()
	if err == nil && c.running && handshake != nil {
		if c.handshake, err = (*handshake)(socket, c.server.Target().Text, c.secured); err == nil {
			c.side = nil
			return
		}
	}
	c.reached(err)
}

// secured is told the end of the TLS handshake.
func (c *check) secured(err error) {
	c.side, c.handshake = c.handshake, nil
	c.reached(err)
}

// reached goes on with the server that has been connected, or has not.
func (c *check) reached(err error) {
	switch {
	case !c.running:
		c.hangUp()
		c.rest()
	case err != nil || c.config.Kind != CheckHTTP:
		c.result(err)
	default:
		c.head = c.head[:0]
		if err := c.side.Send(c.send, c.request); err != nil {
			c.result(err)
		}
	}
}

func (c *check) sent(_ bool, _ int, err error, _ *completion.Overlapped, _ any) {
	switch {
	case !c.running:
		c.rest()
	case err != nil:
		c.result(err)
	default:
		c.receive()
	}
}

func (c *check) receive() {
	if err := c.side.Recv(c.recv); err != nil {
		c.result(err)
	}
}

func (c *check) received(_ bool, n int, err error, o *completion.Overlapped, _ any) {
	if b := o.TakeBuffer(); b != nil {
		c.head = append(c.head, b.Bytes()[:min(n, statusLine-len(c.head))]...)
		b.Release()
	}
	switch {
	case !c.running:
		c.rest()
	case err != nil:
		c.result(err)
	case n > 0 && len(c.head) < statusLine:
		c.receive()
	default:
		c.result(c.config.judge(c.head))
	}
}

// statusLine is how many bytes of an answer tell its status.
const statusLine = len("HTTP/1.1 200 ")

// judge looks at the beginning of an answer.
func (c *CheckConfig) judge(head []byte) error {
	status, err := parseStatus(head)
	switch good := len(c.Status) == 0 && status >= 200 && status < 400 || slices.Contains(c.Status, status); {
	case err != nil:
		return err
	case !good:
		return fmt.Errorf("status %d", status)
	}
	return nil
}

var errNoHTTP = errors.New("the answer is not HTTP/1")

// parseStatus parses a status line (RFC 9112, section 4) up to the reason.
func parseStatus(head []byte) (int, error) {
	if len(head) < statusLine || string(head[:7]) != "HTTP/1." || head[8] != ' ' || head[12] != ' ' && head[12] != '\r' && head[12] != '\n' {
		return 0, errNoHTTP
	}
	status, err := strconv.ParseUint(string(head[9:12]), 10, 16)
	if err != nil || status < 100 || status > 599 {
		return 0, errNoHTTP
	}
	return int(status), nil
}

// result takes the result of a check and rests until the next.
func (c *check) result(err error) {
	c.running = false
	c.limit.Stop()
	c.hangUp()
	c.rest()
	if !isLocal(err) {
		c.server.checked(err)
	}
}

// rest waits for the next check, when everything of this one has come back.
func (c *check) rest() {
	if c.stopped || c.handshake != nil || c.connect.InFlight() || c.send.InFlight() || c.recv.InFlight() || c.next.Armed() {
		return
	}
	wait := c.config.Interval
	if c.first { // so that not all servers are checked at the same time
		c.first = false
		wait = wait/2 + time.Duration(c.server.seed%uint64(wait/2+1))
	}
	c.next.Reset(wait)
}

// checked notes the result of a check.
func (s *Server) checked(err error) {
	u, config := s.upstream, s.upstream.config.Check
	s.tally.checks.Add(1)
	if err != nil {
		s.tally.failedChecks.Add(1)
		reason := err.Error()
		s.reason.Store(&reason)
	}
	down := s.health.judge(err == nil, s.is(stateDown), config.Rise, config.Fall)
	if !s.put(stateDown, down) {
		return
	}
	if down {
		u.changed(s, slog.LevelWarn, "server down", "reason", err.Error())
		return
	}
	s.warmUp(u)
	u.changed(s, slog.LevelInfo, "server up")
}
