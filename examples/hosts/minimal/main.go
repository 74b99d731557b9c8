// Minimal is a host program: a gateway with a filter in Go, which counts bytes,
// and one in Lua. Its arguments are the address to listen on and the server's.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"

	"fwx/framework"
	"fwx/scripting"
)

// counter is the filter: for the service, for each session and for each connection.
type counter struct{}

func (counter) FilterInit(*framework.Firewall) (framework.EventMask, error) {
	return framework.ConnectTCP | framework.ConnectionTerminating, nil
}

func (c counter) AttachToSession(*framework.Session, *framework.EventMask) (framework.SessionFilter, error) {
	return c, nil
}

func (counter) FirewallEventHandler(ev *framework.Event) framework.Verdict {
	c := ev.Connection
	if ev.Type == framework.ConnectionTerminating {
		fmt.Printf("%s: %d bytes up, %d down\n", c.Client(), c.Bytes(framework.Upstream), c.Bytes(framework.Downstream))
	}
	return framework.Pass
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: minimal LISTEN:PORT SERVER:PORT")
	}
	greeter, err := scripting.New(scripting.Settings{Script: "hello.lua", Source: `
		local fwx = require "fwx"
		return { on_connect = function(conn) fwx.log.info("hello", { client = conn.client }) end }`})
	if err != nil {
		log.Fatal(err)
	}
	fw, err := framework.New(framework.Config{
		Upstreams: []framework.UpstreamConfig{{Name: "site", Servers: os.Args[2:]}},
		Filters:   []framework.FilterConfig{{Name: "counter", Filter: counter{}}, {Name: "greeter", Filter: greeter}},
		Listeners: []framework.ListenerConfig{{Name: "web", Listen: os.Args[1], Upstream: "site", Filters: []string{"counter", "greeter"}}},
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := fw.Run(ctx); err != nil {
		log.Print(err)
	}
}
