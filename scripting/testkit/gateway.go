package testkit

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fwx/framework"
	"fwx/framework/completion"
	"fwx/framework/completion/fake"
	"fwx/framework/store"
	"fwx/framework/wire/coding/brzstd"
	"fwx/scripting"
)

// gateway is a firewall on the machine of a test: one listener, one upstream, and the
// script as its filter, in the same host that runs it otherwise.
type gateway struct {
	fw       *framework.Firewall
	listen   completion.Address
	server   netip.AddrPort // that connections go to
	store    *store.Memory
	log      *record
	observer observer
	stopped  bool
	http     bool // the listener speaks it: a server is one that the test plays
}

// setup is what t:start is given.
type setup struct {
	script   scripting.Settings
	listener string
	upstream string
	protocol string // of the listener; empty: "tcp"
	tls      string // its mode; empty: it speaks none
	server   netip.AddrPort
	shared   map[string]store.Value

	upstreams map[string]string // further ones
}

const (
	// listenAddress is where clients connect to.
	listenAddress = "192.0.2.1:8080" // at fake.Address
	// defaultServer is where they are let through to.
	defaultServer = "192.0.2.80:80"
	// defaultClient is who connects.
	defaultClient = "198.51.100.7"
	// spoolDir is where bodies of requests wait that are too long for memory: the same on
	// all systems, for tests to have it fail.
	spoolDir = "spool"

	startLimit = 2 * time.Minute // by the machine's clock
	stopLimit  = 5 * time.Minute
)

// start makes the gateway of a test and starts it.
func (t *test) start(s setup) error {
	filter, err := scripting.New(s.script)
	if err != nil {
		return err
	}
	g := &gateway{server: s.server, log: &record{}, http: s.protocol == "http"}
	if g.store, err = store.NewMemory(store.MemorySettings{}); err != nil {
		return err
	}
	g.store.SetClock(t.machine.Elapsed)
	for key, value := range s.shared {
		if result, _ := g.store.Do(store.Request{Op: store.Set, Key: key, Value: value}, nil); result.Err != nil {
			return fmt.Errorf("shared: %q: %w", key, result.Err)
		}
	}
	config := framework.Config{
		Store:     framework.StoreConfig{Store: g.store},
		Upstreams: []framework.UpstreamConfig{{Name: s.upstream, Servers: []string{s.server.String()}}},
		Filters:   []framework.FilterConfig{{Name: observerName, Filter: &g.observer}, {Name: s.script.Name, Filter: filter}},
		Listeners: []framework.ListenerConfig{{
			Name: s.listener, Listen: listenAddress, Protocol: s.protocol, Upstream: s.upstream, Filters: []string{observerName, s.script.Name},
		}},
		Codings: brzstd.Codings(), Logger: g.log.logger(), OpenPort: t.machine.OpenPort,
	}
	for _, name := range slices.Sorted(maps.Keys(s.upstreams)) {
		config.Upstreams = append(config.Upstreams, framework.UpstreamConfig{Name: name, Servers: []string{s.upstreams[name]}})
	}
	if s.protocol == "http" {
		config.Listeners[0].HTTP = &framework.HTTPConfig{Spool: framework.SpoolConfig{Dir: spoolDir}}
	}
	if s.tls != "" {
		if config.Listeners[0].TLS, err = listenerTLS(s.tls); err != nil {
			return err
		}
	}
	if g.fw, err = framework.New(config, nil); err != nil {
		return err
	}
	t.gateway = g
	if err := t.machine.Run(t.ctx, startLimit, func() error { return g.fw.Start(t.ctx) }, t.exchange); err != nil {
		g.stopped = true
		return err
	}
	g.listen = g.fw.ListenAddress(s.listener)
	return nil
}

// listenerTLS returns what a listener needs that speaks TLS.
func listenerTLS(mode string) (*framework.ListenerTLS, error) {
	a, err := theAuthority()
	if err != nil {
		return nil, err
	}
	certificate, err := a.sign(defaultHost, fake.Address)
	return &framework.ListenerTLS{Mode: mode, Certificates: []framework.CertificateConfig{{Certificate: certificate}}}, err
}

// stop ends the gateway. What connections there are, are reset.
func (t *test) stop() error {
	g := t.gateway
	if g == nil || g.stopped {
		return nil
	}
	g.stopped = true
	ctx, cancel := context.WithCancel(t.ctx)
	cancel() // connections are given no time to finish
	return t.machine.Run(t.ctx, stopLimit, func() error { return g.fw.Shutdown(ctx) }, t.exchange)
}

// end is stop at the end of a test.
func (t *test) end(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(t.ctx, timeout)
	defer cancel()
	t.ctx = ctx
	defer t.stopReading()
	if err := t.stop(); err != nil {
		return fmt.Errorf("the gateway has not ended as it should: %w", err)
	}
	return t.problem
}

// stopReading ends the coroutines of peers with TLS.
func (t *test) stopReading() {
	for _, p := range t.peers {
		if p.tls != nil {
			p.tls.stop()
		}
	}
}

// onWorker calls f on the worker of the gateway.
func (t *test) onWorker(f func()) {
	if w := t.gateway.fw.Port().Workers()[0]; t.gateway.stopped || w.Call(f) != nil {
		f() // the worker has ended, and so nothing else does anything
	}
}

// waits tells what connections wait for.
func (t *test) waits() string {
	if t.gateway == nil || t.gateway.stopped {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), time.Second)
	defer cancel()
	infos, _ := t.gateway.fw.Inspect(ctx, 0, maxWaits)
	var b strings.Builder
	for _, info := range infos {
		for _, text := range waitsOf(info) {
			fmt.Fprintf(&b, "\nconnection %d, %s: %s", info.ID, info.Client, text)
		}
	}
	return b.String()
}

// maxWaits bounds the connections whose waits are told.
const maxWaits = 10

// waitsOf tells what a connection waits for.
func waitsOf(info framework.ConnectionInfo) (texts []string) {
	for _, hold := range info.Holds {
		for _, w := range hold.Waits {
			texts = append(texts, fmt.Sprintf("%s waits in %s at %s", w.Handler, w.Call, w.At))
		}
	}
	if len(info.Holds) == 0 && info.State != "open" {
		texts = append(texts, "it is "+info.State)
	}
	return texts
}

// observerName is the name of the filter of the kit itself.
const observerName = "testkit"

// observer is a filter that notes the connections there are.
type observer struct{ connections []*framework.Connection }

// FilterInit wants to know of each connection.
func (o *observer) FilterInit(*framework.Firewall) (framework.EventMask, error) {
	return framework.AcceptedConnection | framework.AssociatedProtocolsAllConnections, nil
}

// AttachToSession returns the observer.
func (o *observer) AttachToSession(*framework.Session, *framework.EventMask) (framework.SessionFilter, error) {
	return o, nil
}

// FirewallEventHandler notes a connection.
func (o *observer) FirewallEventHandler(ev *framework.Event) framework.Verdict {
	o.connections = append(o.connections, ev.Connection)
	return framework.Pass
}

// at returns the connection that a socket of the test is an end of; nil: there is none.
func (o *observer) at(socket *fake.Socket) *framework.Connection {
	local, remote := socket.Local(), socket.Remote()
	i := slices.IndexFunc(o.connections, func(c *framework.Connection) bool {
		return c.Client().AddrPort == local || c.Expected() != nil && c.Server().AddrPort == local ||
			c.LocalAddress(framework.Downstream) == remote || c.Expected() != nil && c.LocalAddress(framework.Upstream) == remote
	})
	if i < 0 {
		return nil
	}
	return o.connections[i]
}

// directory answers what scripts look up with what the test has said.
type directory map[string][]netip.Addr

// LookupNetIP returns the addresses of a name.
func (d directory) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	addrs, ok := d[strings.TrimSuffix(host, ".")]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, nil
}

// LookupAddr returns the names of an address.
func (d directory) LookupAddr(_ context.Context, addr string) (names []string, err error) {
	for name, addrs := range d {
		for _, a := range addrs {
			if a.String() == addr {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: addr, IsNotFound: true}
	}
	slices.Sort(names)
	return names, nil
}

// system is what the script sees of the system besides the machine.
func system(names directory, variables map[string]string) scripting.System {
	return scripting.System{
		Resolver: names,
		LookupEnv: func(name string) (string, bool) {
			value, ok := variables[name]
			return value, ok
		},
		Random: rand.NewChaCha8([32]byte{}), // the same in each test
		Roots: func() (*x509.CertPool, error) {
			a, err := theAuthority()
			if err != nil {
				return nil, err
			}
			return a.pool, nil
		},
	}
}

// filterName returns what logs call the filter of a script.
func filterName(script string) string {
	return strings.TrimSuffix(filepath.Base(script), ".lua")
}

var errNotStarted = errors.New("the script does not run yet: t:start{ … }")

// readFile returns what a file of the machine has; false if there is none.
func (t *test) readFile(name string) (string, bool) {
	data, err := t.machine.ReadFile(name)
	return string(data), err == nil
}
