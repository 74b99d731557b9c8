package framework_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"

	"fwx/framework"
)

// shout is a filter, a session filter and a data filter in one: it turns what
// clients send into capitals.
type shout struct{}

func (shout) FilterInit(*framework.Firewall) (framework.EventMask, error) {
	return framework.ConnectTCP, nil
}

func (s shout) AttachToSession(*framework.Session, *framework.EventMask) (framework.SessionFilter, error) {
	return s, nil
}

func (s shout) FirewallEventHandler(ev *framework.Event) framework.Verdict {
	if err := ev.Connection.AttachDataFilter(s); err != nil {
		return framework.Fail(err.Error())
	}
	return framework.Pass
}

func (shout) Data(_ *framework.Connection, dir framework.Direction, chunk []byte) framework.Verdict {
	if dir == framework.Downstream {
		return framework.Pass
	}
	return framework.Replace(bytes.ToUpper(chunk))
}

// A program with a filter of its own, given by value.
func Example() {
	server := echoServer()
	defer server.Close()

	fw, err := framework.New(framework.Config{
		Logger:    slog.New(slog.DiscardHandler),
		Upstreams: []framework.UpstreamConfig{{Name: "echo", Servers: []string{server.Addr().String()}}},
		Filters:   []framework.FilterConfig{{Name: "shout", Class: framework.ClassMiddle, Filter: shout{}}},
		Listeners: []framework.ListenerConfig{{Name: "in", Listen: "127.0.0.1:0", Upstream: "echo", Filters: []string{"shout"}}},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	serveOnce(fw, "hello")
	// Output: HELLO
}

// greeting is a kind of filter that sends clients a text before anything else.
type greeting struct {
	Text string `toml:"text"`
}

func newGreeting(config framework.FilterConfig, settings any) (framework.Filter, error) {
	g := settings.(*greeting)
	if g.Text == "" {
		return nil, config.Errorf("text", "must not be empty")
	}
	return g, nil
}

func (g *greeting) FilterInit(*framework.Firewall) (framework.EventMask, error) {
	return framework.ConnectTCP, nil
}

func (g *greeting) AttachToSession(*framework.Session, *framework.EventMask) (framework.SessionFilter, error) {
	return g, nil
}

func (g *greeting) FirewallEventHandler(ev *framework.Event) framework.Verdict {
	if err := ev.Connection.AttachDataFilter(&greeter{text: g.Text}); err != nil {
		return framework.Fail(err.Error())
	}
	return framework.Pass
}

// greeter is the data filter of one connection.
type greeter struct{ text string }

func (g *greeter) Data(c *framework.Connection, dir framework.Direction, _ []byte) framework.Verdict {
	if dir == framework.Downstream && g.text != "" {
		if err := c.Send(dir, []byte(g.text)); err != nil {
			return framework.Fail(err.Error())
		}
		g.text = ""
	}
	return framework.Pass
}

// A registry with a kind of its own, for a configuration file.
func ExampleNewRegistry() {
	registry := framework.NewRegistry(framework.Factory{
		Kind:     "greeting",
		Summary:  "sends clients a text before anything else",
		Settings: func() any { return &greeting{Text: "welcome, "} },
		New:      newGreeting,
	})
	server := echoServer()
	defer server.Close()
	config, err := framework.ParseConfig("example.toml", []byte(`
[[upstream]]
name    = "echo"
servers = ["builtin:echo"]
[[filter]]
name = "greet"
kind = "greeting"
[[listener]]
name     = "in"
listen   = "127.0.0.1:0"
filters  = ["greet"]
upstream = "echo"
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	config.Logger = slog.New(slog.DiscardHandler)
	config.Builtin = map[string]string{"echo": server.Addr().String()}
	fw, err := framework.New(config, registry)
	if err != nil {
		fmt.Println(err)
		return
	}
	serveOnce(fw, "stranger")
	// Output: welcome, stranger
}

// lookup is a data filter that asks something slow about each chunk.
type lookup struct{ shout }

func (l lookup) AttachToSession(*framework.Session, *framework.EventMask) (framework.SessionFilter, error) {
	return l, nil
}

func (l lookup) FirewallEventHandler(ev *framework.Event) framework.Verdict {
	if err := ev.Connection.AttachDataFilter(l); err != nil {
		return framework.Fail(err.Error())
	}
	return framework.Pass
}

func (lookup) Data(c *framework.Connection, dir framework.Direction, chunk []byte) framework.Verdict {
	if dir == framework.Downstream {
		return framework.Pass
	}
	var answer string
	work := func() error { // it may block; the chunk stays valid meanwhile
		answer = fmt.Sprintf("%d bytes", len(chunk))
		return nil
	}
	done := func(err error) { // on the worker again
		v := framework.Replace([]byte(answer))
		if err != nil {
			v = framework.Fail(err.Error())
		}
		_ = c.Resume(dir, v) // it is held
	}
	if err := c.Go(work, done); err != nil {
		return framework.Fail(err.Error())
	}
	return framework.Hold
}

// A data filter that holds each chunk while something slow goes on elsewhere.
func ExampleConnection_Go() {
	server := echoServer()
	defer server.Close()
	fw, err := framework.New(framework.Config{
		Logger:    slog.New(slog.DiscardHandler),
		Upstreams: []framework.UpstreamConfig{{Name: "echo", Servers: []string{server.Addr().String()}}},
		Filters:   []framework.FilterConfig{{Name: "lookup", Filter: lookup{}}},
		Listeners: []framework.ListenerConfig{{Name: "in", Listen: "127.0.0.1:0", Upstream: "echo", Filters: []string{"lookup"}}},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	serveOnce(fw, "hello")
	// Output: 5 bytes
}

// counting is a filter whose clients need no server: it tells them how much they
// have said.
type counting struct{ shout }

func (f counting) AttachToSession(*framework.Session, *framework.EventMask) (framework.SessionFilter, error) {
	return f, nil
}

func (counting) FirewallEventHandler(ev *framework.Event) framework.Verdict {
	if err := ev.Connection.Emulate(&counter{}); err != nil {
		return framework.Fail(err.Error())
	}
	return framework.Pass
}

// counter plays the server of one connection.
type counter struct{ n int }

func (s *counter) Data(_ *framework.Connection, chunk []byte) framework.Verdict {
	s.n += len(chunk)
	return framework.Pass
}

func (s *counter) End(c *framework.Connection) {
	if err := c.Send(framework.Downstream, fmt.Appendf(nil, "%d bytes, no server", s.n)); err != nil {
		c.Reset()
		return
	}
	_ = c.CloseSend() // it is open
}

// A filter that answers instead of the server, which is never connected.
func ExampleConnection_Emulate() {
	fw, err := framework.New(framework.Config{
		Logger:    slog.New(slog.DiscardHandler),
		Upstreams: []framework.UpstreamConfig{{Name: "nobody", Servers: []string{"192.0.2.1:80"}}},
		Filters:   []framework.FilterConfig{{Name: "counter", Filter: counting{}}},
		Listeners: []framework.ListenerConfig{{Name: "in", Listen: "127.0.0.1:0", Upstream: "nobody", Filters: []string{"counter"}}},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	serveOnce(fw, "hello")
	// Output: 5 bytes, no server
}

// serveOnce starts a firewall, prints what one client gets, and shuts it down.
func serveOnce(fw *framework.Firewall, say string) {
	ctx := context.Background()
	if err := fw.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	defer func() {
		if err := fw.Shutdown(ctx); err != nil {
			fmt.Println(err)
		}
	}()
	var dialer net.Dialer
	client, err := dialer.DialContext(ctx, "tcp", fw.ListenAddress("in").String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	fmt.Fprint(client, say)
	if err := client.(*net.TCPConn).CloseWrite(); err != nil {
		fmt.Println(err)
		return
	}
	answer, err := io.ReadAll(client)
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(string(answer))
}

// echoServer sends back to each client what it has said, at its end.
func echoServer() net.Listener {
	var config net.ListenConfig
	server, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			data, _ := io.ReadAll(c) // whatever there is
			_, _ = c.Write(data)     // or the client has gone
			_ = c.Close()            // it is open
		}
	}()
	return server
}
