package framework_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"fwx/framework"
	"fwx/framework/completion"
	"fwx/framework/completion/fake"
)

// curfew is a filter that lets nobody through at night.
type curfew struct{ port *completion.Port }

func (c *curfew) FilterInit(fw *framework.Firewall) (framework.EventMask, error) {
	c.port = fw.Port()
	return framework.ConnectTCP, nil
}

func (c *curfew) AttachToSession(*framework.Session, *framework.EventMask) (framework.SessionFilter, error) {
	return c, nil
}

func (c *curfew) FirewallEventHandler(*framework.Event) framework.Verdict {
	if hour := c.port.Time().Hour(); hour < 6 {
		return framework.Deny("it is night")
	}
	return framework.Pass
}

// A filter is tested on a machine in memory, where a night is over at once.
func ExampleConfig_openPort() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	m := fake.New() // it is midnight there
	fw, err := framework.New(framework.Config{
		Upstreams: []framework.UpstreamConfig{{Name: "site", Servers: []string{"10.0.0.5:80"}}},
		Filters:   []framework.FilterConfig{{Name: "curfew", Filter: &curfew{}}},
		Listeners: []framework.ListenerConfig{{Name: "web", Listen: "192.0.2.1:80", Upstream: "site", Filters: []string{"curfew"}}},
		Logger:    slog.New(slog.DiscardHandler),
		OpenPort:  m.OpenPort,
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := m.Run(ctx, time.Minute, func() error { return fw.Start(ctx) }, nil); err != nil {
		fmt.Println(err)
		return
	}
	server, err := m.Listen(completion.Address{AddrPort: netip.MustParseAddrPort("10.0.0.5:80")})
	if err != nil {
		fmt.Println(err)
	}
	connect := func() {
		if _, err := m.Dial(netip.MustParseAddrPort("198.51.100.7:0"), fw.ListenAddress("web")); err != nil {
			fmt.Println(err)
		}
		if err := m.Settle(ctx); err != nil {
			fmt.Println(err)
		}
		_, connected := server.Accept()
		fmt.Println(m.Time().Format(time.TimeOnly), connected)
	}
	connect()
	if err := m.Advance(ctx, 8*time.Hour); err != nil {
		fmt.Println(err)
	}
	connect()
	stop, cancelStop := context.WithCancel(ctx)
	cancelStop() // the connection that stands is given no time
	if err := m.Run(ctx, time.Minute, func() error { return fw.Shutdown(stop) }, nil); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 00:00:00 false
	// 08:00:00 true
}
