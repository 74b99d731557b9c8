package framework

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// gateway is a firewall under test, with one listener and one upstream unless
// the test says otherwise.
type gateway struct {
	*Firewall

	log *logBuffer
}

// logBuffer keeps what a firewall logs.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.text.Bytes(), []byte(s))
}

// gatewayConfig is a configuration for a backend, with a listener "in" and an
// upstream "out".
func gatewayConfig(backend, server string, filters ...Filter) Config {
	config := Config{
		Service:   ServiceConfig{Backend: backend, Workers: 2},
		Upstreams: []UpstreamConfig{{Name: "out", Servers: []string{server}}},
		Listeners: []ListenerConfig{{Name: "in", Listen: "127.0.0.1:0", Upstream: "out"}},
	}
	for _, f := range filters {
		addFilter(&config, f)
	}
	return config
}

// addFilter puts a filter behind the others of a configuration and its listener.
func addFilter(c *Config, f Filter) {
	name := string(rune('a' + len(c.Filters)))
	c.Filters = append(c.Filters, FilterConfig{Name: name, Class: ClassMiddle, Filter: f})
	c.Listeners[0].Filters = append(c.Listeners[0].Filters, name)
}

// newGateway makes a firewall that has not been started.
func newGateway(t *testing.T, config Config) *gateway {
	t.Helper()
	g := &gateway{log: &logBuffer{}}
	config.Logger = slog.New(slog.NewTextHandler(g.log, nil))
	g.Firewall = must(New(config, nil))(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", g.log.text.String())
		}
	})
	return g
}

// startGateway makes and starts a firewall; its end is part of the test.
func startGateway(t *testing.T, config Config) *gateway {
	t.Helper()
	g := newGateway(t, config)
	g.start(t)
	return g
}

func (g *gateway) start(t *testing.T) {
	t.Helper()
	check(t, g.Start(t.Context()))
	t.Cleanup(func() { g.stop(t) })
}

// stop shuts the firewall down and checks that nothing is left.
func (g *gateway) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	if err := g.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	g.sessions.mu.Lock()
	defer g.sessions.mu.Unlock()
	if n, s := g.Connections(), len(g.sessions.sessions); n != 0 || s != 0 {
		t.Errorf("%d connections and %d sessions are left", n, s)
	}
	if n := g.Port().Panics(); n != 0 {
		t.Errorf("%d handlers panicked", n)
	}
}

// dial connects to a listener.
func (g *gateway) dial(t *testing.T) *net.TCPConn {
	t.Helper()
	return dial(t, "tcp", g.ListenAddress("in").String()).(*net.TCPConn)
}

func dial(t *testing.T, network, address string) net.Conn {
	t.Helper()
	var d net.Dialer
	c := must(d.DialContext(t.Context(), network, address))(t)
	check(t, c.SetDeadline(time.Now().Add(patience)))
	t.Cleanup(func() { c.Close() })
	return c
}

// dialFrom connects to the listener from an address.
func (g *gateway) dialFrom(t *testing.T, ip string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	c := must(d.DialContext(t.Context(), "tcp", g.ListenAddress("in").String()))(t)
	check(t, c.SetDeadline(time.Now().Add(patience)))
	t.Cleanup(func() { c.Close() })
	return c
}

// serve runs a server until the end of the test and returns its address.
func serve(t *testing.T, handle func(c *net.TCPConn)) string {
	t.Helper()
	return serveOn(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
		handle(c.(*net.TCPConn))
	})
}

func serveOn(t *testing.T, network, address string, handle func(c net.Conn)) string {
	t.Helper()
	var lc net.ListenConfig
	ln := must(lc.Listen(t.Context(), network, address))(t)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := ln.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue // of a client that has gone again, which Wine tells of
			}
			_ = c.SetDeadline(time.Now().Add(patience)) // it is open
			serving.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		serving.Wait()
	})
	return ln.Addr().String()
}

// echo sends back what comes, and then the end of the stream.
func echo(c *net.TCPConn) { _ = echoOn(c) }

// echoOn is echo without the pipes that [io.Copy] would use between two sockets:
// they stay open until the garbage collector finds them.
func echoOn(c net.Conn) error {
	_, err := io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
	return err
}

// exchange sends data and the end of the stream, and returns what comes back.
func exchange(c net.Conn, data []byte) ([]byte, error) {
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(data)
		if half, ok := c.(interface{ CloseWrite() error }); ok && err == nil {
			err = half.CloseWrite()
		}
		sent <- err
	}()
	got, err := io.ReadAll(c)
	return got, errors.Join(err, <-sent)
}

// isReset reports whether err says that the peer has reset the connection.
func isReset(err error) bool {
	return errors.Is(err, errPeerReset) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// refused checks that the gateway resets a new connection.
func (g *gateway) refused(t *testing.T) {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", g.ListenAddress("in").String())
	if err == nil {
		defer c.Close()
		check(t, c.SetDeadline(time.Now().Add(patience)))
		_, err = io.ReadAll(c)
	}
	if !isReset(err) {
		t.Errorf("the connection ended with %v, not a reset", err)
	}
}

// attempt makes a connection that may end in any way, with some data.
func (g *gateway) attempt(t *testing.T) {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", g.ListenAddress("in").String())
	if err != nil {
		return
	}
	defer c.Close()
	check(t, c.SetDeadline(time.Now().Add(patience)))
	_, _ = exchange(c, []byte("x"))
}

// wantReset reads until the connection ends, which must be by a reset.
func wantReset(t *testing.T, c net.Conn) []byte {
	t.Helper()
	got, err := io.ReadAll(c)
	if !isReset(err) {
		t.Errorf("the end was %v behind %d bytes, not a reset", err, len(got))
	}
	return got
}

// testFilter is a filter made of functions, those of which may be nil.
type testFilter struct {
	mask       EventMask // 0: connect and terminating; none: none
	onInit     func(fw *Firewall) error
	onAttach   func(s *Session, mask *EventMask) error
	onEvent    func(ev *Event) Verdict
	onData     func(c *Connection, dir Direction, chunk []byte) Verdict
	onDetach   func() // of the session
	onGone     func() // the data filter's Detach
	onRetire   func()
	onShutdown func(ctx context.Context) error

	attached, detached, gone, ended atomic.Int64
}

// none is a mask of no events, for testFilter.
var none EventMask = 1 << 31

func (f *testFilter) FilterInit(fw *Firewall) (EventMask, error) {
	if f.onInit != nil {
		if err := f.onInit(fw); err != nil {
			return 0, err
		}
	}
	switch f.mask {
	case 0:
		return ConnectTCP | ConnectionTerminating, nil
	case none:
		return 0, nil
	default:
		return f.mask, nil
	}
}

func (f *testFilter) Retire() {
	if f.onRetire != nil {
		f.onRetire()
	}
}

func (f *testFilter) FilterShutdown(ctx context.Context) error {
	if f.onShutdown == nil {
		return nil
	}
	return f.onShutdown(ctx)
}

func (f *testFilter) AttachToSession(s *Session, mask *EventMask) (SessionFilter, error) {
	f.attached.Add(1)
	if f.onAttach != nil {
		if err := f.onAttach(s, mask); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *testFilter) FirewallEventHandler(ev *Event) Verdict {
	if ev.Type == ConnectionTerminating {
		f.ended.Add(1)
	}
	if ev.Type == ConnectTCP && f.onData != nil {
		if err := ev.Connection.AttachDataFilter(testData{f}); err != nil {
			return Fail(err.Error())
		}
	}
	if f.onEvent == nil {
		return Pass
	}
	return f.onEvent(ev)
}

func (f *testFilter) Detach() {
	f.detached.Add(1)
	if f.onDetach != nil {
		f.onDetach()
	}
}

// testData is the data filter of a testFilter.
type testData struct{ f *testFilter }

func (d testData) Data(c *Connection, dir Direction, chunk []byte) Verdict {
	return d.f.onData(c, dir, chunk)
}

func (d testData) Detach() {
	d.f.gone.Add(1)
	if d.f.onGone != nil {
		d.f.onGone()
	}
}

// random returns bytes that are the same in every run.
func random(n int) []byte {
	data := make([]byte, n)
	x := uint32(n)*2654435761 + 1
	for i := range data {
		x = x*1664525 + 1013904223
		data[i] = byte(x >> 24)
	}
	return data
}
