package instep

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"fwx/framework"
	"fwx/framework/completion"
	"fwx/framework/completion/fake"
)

// The variables of the environment that make a run longer, and repeat one.
const (
	variableRuns = "FWX_INSTEP_RUNS"
	variableSeed = "FWX_INSTEP_SEED"
)

// connections is how many connections of clients a run has, one after the other. Those to
// the servers go on.
const connections = 10

// Filters makes the filters of a run. Unless bodies is true they neither see bodies nor have
// them decoded.
type Filters func(t *testing.T, r *rand.Rand, m *fake.Machine, rec *Record, bodies bool) []framework.FilterConfig

// Run makes runs with filters, each with a seed, and reports the first that goes wrong. A
// run has ten connections with a few requests each.
func Run(t *testing.T, runs int, registry *framework.Registry, filters Filters) {
	t.Helper()
	if text := os.Getenv(variableRuns); text != "" {
		runs, _ = strconv.Atoi(text) // 0: the test has run nothing, which shows
	}
	first, last := uint64(1), uint64(runs)
	if text := os.Getenv(variableSeed); text != "" {
		first, _ = strconv.ParseUint(text, 10, 64)
		last = first
	}
	llhttp := newReader(t)
	for seed := first; seed <= last && !t.Failed(); seed++ {
		run(t, seed, llhttp, registry, filters)
	}
}

// logged is the log of a gateway.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write takes a line.
func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// rig is a run.
type rig struct {
	t       *testing.T
	ctx     context.Context //nolint:containedctx // that of the test
	seed    uint64
	r       *rand.Rand
	rec     *Record
	log     logged
	llhttp  *reader // nil: there is none
	fake    *fake.Machine
	fw      *framework.Firewall
	servers []*server

	requests []request // all, by their number
	answers  map[int][]*answer
	streams  []*stream // that clients and servers have had
	trace    strings.Builder
}

func run(t *testing.T, seed uint64, llhttp *reader, registry *framework.Registry, filters Filters) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	g := &rig{
		t: t, ctx: ctx, seed: seed, r: rand.New(rand.NewPCG(seed, 0)), llhttp: llhttp, fake: fake.New(), //nolint:gosec // it is to be repeated
		rec: &Record{seen: make(map[string]*exchange)}, answers: make(map[int][]*answer),
	}
	defer func() {
		if t.Failed() {
			t.Logf("%s=%d repeats it\n%s\nlog:\n%s", variableSeed, seed, g.trace.String(), g.log.text.String())
		}
	}()
	g.start(registry, filters)
	for range connections {
		g.connection()
		if t.Failed() {
			break
		}
	}
	g.end()
	if text := g.log.text.String(); strings.Contains(text, "panicked") {
		t.Errorf("seed %d: a panic", seed)
	}
}

// start starts the gateway.
func (g *rig) start(registry *framework.Registry, filters Filters) {
	g.t.Helper()
	config := framework.Config{
		Service:   framework.ServiceConfig{Workers: 1},
		Listeners: []framework.ListenerConfig{{Name: "in", Listen: "192.0.2.1:80", Protocol: "http", Upstream: "out", HTTP: &framework.HTTPConfig{}}},
		Logger:    slog.New(slog.NewTextHandler(&g.log, nil)),
		OpenPort:  g.fake.OpenPort,
	}
	config.Listeners[0].HTTP.Spool.Dir = "/spool"
	for i, name := range []string{"out", "other"} {
		s := &server{rig: g, address: fmt.Sprintf("10.0.0.%d:80", i+1)}
		var err error
		if s.listener, err = g.fake.Listen(completion.Address{AddrPort: netip.MustParseAddrPort(s.address)}); err != nil {
			g.t.Fatal(err)
		}
		g.servers = append(g.servers, s)
		config.Upstreams = append(config.Upstreams, framework.UpstreamConfig{Name: name, Servers: []string{s.address}})
	}
	first, last := framework.HTTPFilter(heads{g.rec}), framework.HTTPFilter(heads{g.rec})
	seen := chance(g.r, 75)
	if seen {
		first, last = bodies{heads{g.rec}, false}, bodies{heads{g.rec}, true}
	}
	config.Filters = append(config.Filters, framework.FilterConfig{Name: "first", Filter: Attach(first), Class: framework.ClassMiddle})
	config.Filters = append(config.Filters, filters(g.t, g.r, g.fake, g.rec, seen)...)
	config.Filters = append(config.Filters, framework.FilterConfig{Name: "last", Filter: Attach(last), Class: framework.ClassMiddle})
	for _, f := range config.Filters {
		config.Listeners[0].Filters = append(config.Listeners[0].Filters, f.Name)
	}
	var err error
	if g.fw, err = framework.New(config, registry); err != nil {
		g.t.Fatal(err)
	}
	g.wait(func() error { return g.fw.Start(g.ctx) })
}

// end ends the gateway, and looks at what its servers have had.
func (g *rig) end() {
	g.t.Helper()
	ended, cancel := context.WithCancel(context.Background())
	cancel() // connections are given no time
	g.wait(func() error { return g.fw.Shutdown(ended) })
	if n := g.fw.Port().Panics(); n > 0 {
		g.t.Errorf("seed %d: %d handlers panicked", g.seed, n)
	}
	for _, s := range g.servers {
		for _, c := range s.conns {
			g.streams = append(g.streams, g.had(c))
		}
	}
	if g.llhttp == nil || g.t.Failed() {
		return
	}
	if err := g.llhttp.check(g.streams); err != nil {
		g.fail("%v", err)
	}
}

func (g *rig) wait(f func() error) {
	g.t.Helper()
	if err := g.fake.Run(g.ctx, time.Minute, f, nil); err != nil {
		g.t.Fatalf("seed %d: %v", g.seed, err)
	}
}

// note notes what happens, for who has to find out what went wrong.
func (g *rig) note(format string, args ...any) { fmt.Fprintf(&g.trace, format+"\n", args...) }

// settle lets everything happen that happens by itself.
func (g *rig) settle() {
	g.t.Helper()
	for busy := true; busy; {
		if err := g.fake.Settle(g.ctx); err != nil {
			g.t.Fatalf("seed %d: %v", g.seed, err)
		}
		busy = false
		for _, s := range g.servers {
			busy = s.turn() || busy
		}
	}
}

// pass lets time pass.
func (g *rig) pass(d time.Duration) {
	g.t.Helper()
	g.settle()
	for end := g.fake.Elapsed() + d; ; {
		more, err := g.fake.Step(g.ctx, end-g.fake.Elapsed())
		if err != nil {
			g.t.Fatalf("seed %d: %v", g.seed, err)
		}
		g.settle()
		if !more {
			return
		}
	}
}
