package framework

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"fwx/framework/balance"
	"fwx/framework/completion"
	"fwx/framework/completion/fake"
)

// machine is a gateway that speaks HTTP on a machine in memory, where minutes pass at
// once and a test knows when nothing more happens by itself.
type machine struct {
	*gateway

	t       *testing.T
	ctx     context.Context //nolint:containedctx // that of the test
	fake    *fake.Machine
	servers []*memoryServer
}

// memoryServer is a server on such a machine.
type memoryServer struct {
	*fake.Listener

	m       *machine
	address string
	conns   []*memoryConn // all that it has had
	deaf    bool          // it receives nothing
	manual  bool          // it receives, and the test takes what has come and answers
	answer  func(c *memoryConn, head string)
}

// memoryConn is a connection on such a machine, as its end outside the gateway has it.
type memoryConn struct {
	*fake.Socket

	t    *testing.T
	text string // received and not taken
	err  error  // of the last receive: fake.ErrEmpty, or what has ended it
	over bool   // the other end sends no more
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// newMachine makes a machine for a gateway; start starts it.
func newMachine(t *testing.T) *machine {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return &machine{t: t, ctx: ctx, fake: fake.New()}
}

// server makes a server that answers each head of a request; nil: with okAnswer.
func (m *machine) server(answer func(c *memoryConn, head string)) *memoryServer {
	m.t.Helper()
	if answer == nil {
		answer = func(c *memoryConn, _ string) { c.say(okAnswer) }
	}
	s := &memoryServer{m: m, address: fmt.Sprintf("10.0.0.%d:80", len(m.servers)+1), answer: answer}
	s.Listener = must(m.fake.Listen(completion.Address{AddrPort: netip.MustParseAddrPort(s.address)}))(m.t)
	m.servers = append(m.servers, s)
	return s
}

// start starts the gateway before all servers.
func (m *machine) start(change func(*Config)) {
	m.t.Helper()
	m.gateway = newGateway(m.t, m.config(change))
	m.wait(func() error { return m.Start(m.ctx) })
	m.t.Cleanup(func() {
		ended, end := context.WithCancel(context.Background()) // connections are given no time
		end()
		m.wait(func() error { return m.Shutdown(ended) })
		m.stop(m.t)
	})
}

// reload has the gateway begin with the configuration of start, changed otherwise.
func (m *machine) reload(change func(*Config)) {
	m.t.Helper()
	m.wait(func() error { return m.Reload(m.ctx, m.config(change)) })
	m.settle()
}

// config is a configuration before all servers.
func (m *machine) config(change func(*Config)) Config {
	config := httpConfig("", m.servers[0].address)
	config.Service.Workers = 1
	config.Service.MaxConnections = 10_000
	for _, s := range m.servers[1:] {
		config.Upstreams[0].Servers = append(config.Upstreams[0].Servers, s.address)
	}
	config.Listeners[0].Listen = "192.0.2.1:80"
	config.OpenPort = m.fake.OpenPort
	if change != nil {
		change(&config)
	}
	return config
}

// wait calls what waits for the machine.
func (m *machine) wait(f func() error) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.ctx), patience)
	defer cancel()
	check(m.t, m.fake.Run(ctx, time.Minute, f, nil))
}

// settle lets everything happen that happens by itself, and the servers answer.
func (m *machine) settle() {
	m.t.Helper()
	for busy := true; busy; {
		check(m.t, m.fake.Settle(m.ctx))
		busy = false
		for _, s := range m.servers {
			busy = s.turn() || busy
		}
	}
}

// pass lets time pass.
func (m *machine) pass(d time.Duration) {
	m.t.Helper()
	m.settle()
	for end := m.fake.Elapsed() + d; ; {
		more, err := m.fake.Step(m.ctx, end-m.fake.Elapsed())
		check(m.t, err)
		m.settle()
		if !more {
			return
		}
	}
}

// drain drains a server, or ends that.
func (m *machine) drain(s *memoryServer, drained bool) (infos []balance.Info, err error) {
	m.t.Helper()
	m.wait(func() error {
		infos, err = m.DrainServer("out", s.address, drained)
		return nil
	})
	return infos, err
}

// client connects to the gateway.
func (m *machine) client() *memoryConn {
	m.t.Helper()
	s := must(m.fake.Dial(netip.MustParseAddrPort("198.51.100.7:0"), m.ListenAddress("in")))(m.t)
	m.settle()
	return &memoryConn{Socket: s, t: m.t}
}

// ask says something, and returns what has come back when nothing more happens.
func (m *machine) ask(c *memoryConn, text string) string {
	m.t.Helper()
	c.say(text)
	m.settle()
	return c.heard()
}

// get asks for something on a connection of its own, and returns the status.
func (m *machine) get(what string) string {
	m.t.Helper()
	c := m.client()
	defer c.Close()
	return statusOf(m.ask(c, what))
}

const (
	getRequest  = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	postRequest = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
)

// statusOf returns the status of the first answer in a text that is no interim one.
func statusOf(text string) string {
	for {
		_, rest, _ := strings.Cut(text, " ")
		status, rest, _ := strings.Cut(rest, " ")
		if !strings.HasPrefix(status, "1") || status == "101" {
			return status
		}
		_, text, _ = strings.Cut(rest, "\r\n\r\n")
	}
}

// turn takes what has come to a server, and answers; false: nothing has.
func (s *memoryServer) turn() (busy bool) {
	for {
		socket, ok := s.Accept()
		if !ok {
			break
		}
		s.conns, busy = append(s.conns, &memoryConn{Socket: socket, t: s.m.t}), true
	}
	for _, c := range s.conns {
		if s.deaf || !c.receive() {
			continue
		}
		busy = true
		for !s.manual {
			head, rest, whole := strings.Cut(c.text, "\r\n\r\n")
			if !whole {
				break
			}
			c.text = strings.TrimPrefix(rest, "abc") // the body, if there is one
			s.answer(c, head)
		}
	}
	return busy
}

// open returns how many connections the server has that the gateway has not ended.
func (s *memoryServer) open() (n int) {
	s.m.settle()
	for _, c := range s.conns {
		if !c.over {
			n++
		}
	}
	return n
}

// receive takes what has come; false: nothing has.
func (c *memoryConn) receive() (some bool) {
	buf := make([]byte, 32<<10)
	for !c.over {
		n, err := c.Receive(buf)
		c.text += string(buf[:n])
		some = some || n > 0
		if c.err = err; errors.Is(err, fake.ErrEmpty) {
			return some
		}
		if n == 0 {
			c.over, some = true, true
		}
	}
	return some
}

// heard returns what has come since it was called last.
func (c *memoryConn) heard() string {
	c.receive()
	text := c.text
	c.text = ""
	return text
}

// say sends a text for which there is room.
func (c *memoryConn) say(text string) {
	c.t.Helper()
	if n := must(c.Send([]byte(text)))(c.t); n < len(text) {
		c.t.Errorf("only %d bytes of %d could be sent", n, len(text))
	}
}

// ended notes that the test ends the connection, and returns it.
func (c *memoryConn) ended() *memoryConn {
	c.over = true
	return c
}

// fill sends as much as there is room for.
func (c *memoryConn) fill() (n int) {
	block := bytes.Repeat([]byte("x"), 32<<10)
	for {
		m, err := c.Send(block)
		if n += m; err != nil {
			return n
		}
	}
}
