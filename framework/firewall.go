package framework

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"fwx/framework/completion"
	"fwx/framework/strict"
)

// Firewall is the service that a host program makes and runs (IFWXFirewall):
// listeners, upstreams, the filters between them, and the completion port that
// all of it runs on.
type Firewall struct {
	config    Config
	logger    *slog.Logger
	port      *completion.Port
	published atomic.Pointer[completion.Port] // port, for other goroutines than that of Start
	filters   []*filter
	upstreams []*upstream
	listeners []*listener
	sessions  sessionTable

	lastID      atomic.Uint64
	live        []workerLoad // by worker
	limit       int64
	patience    time.Duration // how long filters may keep a connection that has ended
	open        atomic.Int64  // connections
	drained     chan struct{}
	drainedOnce sync.Once
	closing     atomic.Bool

	mu     sync.Mutex
	status status
}

// workerLoad is how many connections a worker has, on a cache line of its own.
type workerLoad struct {
	connections map[*Connection]struct{} // of the worker only
	count       atomic.Int64
	_           [48]byte
}

type status uint8

const (
	statusNew status = iota
	statusRunning
	statusEnded
)

// filter is a filter as the firewall runs it.
type filter struct {
	number   int
	config   FilterConfig
	instance Filter
	mask     EventMask
	used     bool // a listener names it
	begun    bool // FilterInit was called
}

// New checks a configuration and makes a firewall from it. It opens and starts
// nothing. All that is wrong with the configuration is reported in one error.
func New(config Config, registry *Registry) (*Firewall, error) {
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	config.Upstreams, config.Filters, config.Listeners = slices.Clone(config.Upstreams), slices.Clone(config.Filters), slices.Clone(config.Listeners)
	fw := &Firewall{config: config, logger: config.Logger, patience: terminationLimit, drained: make(chan struct{})}
	fw.sessions.sessions = make(map[netip.Addr]*Session)
	mistakes := slices.Clone(config.mistakes)
	fw.config.check(&mistakes)
	fw.makeFilters(registry, &mistakes)
	if err := mistakes.Err(); err != nil {
		return nil, err
	}
	fw.connectParts()
	return fw, nil
}

func (fw *Firewall) makeFilters(registry *Registry, mistakes *strict.Errors) {
	for i, fc := range fw.config.Filters {
		if fc.Dir == "" {
			fc.Dir = fw.config.Dir
		}
		instance, err := registry.make(fc)
		mistakes.Add(err)
		fw.filters = append(fw.filters, &filter{number: i, config: fc, instance: instance})
	}
}

// make makes the filter that a configuration asks for.
func (r *Registry) make(fc FilterConfig) (Filter, error) {
	if fc.Filter != nil {
		return fc.Filter, nil
	}
	if fc.Kind == "" {
		if given[string](part{table: fc.Table}, "kind") {
			return nil, fc.Errorf("kind", "neither a kind nor a filter")
		}
		return nil, nil // reported as a missing key
	}
	var factory Factory
	if r != nil {
		factory = r.factories[fc.Kind]
	}
	if factory.New == nil {
		var known []string
		for _, f := range r.Factories() {
			known = append(known, f.Kind)
		}
		return nil, fc.Errorf("kind", "%v", &UnknownNameError{What: "kind of filter", Name: fc.Kind, Known: known})
	}
	var settings any = new(struct{})
	if factory.Settings != nil {
		settings = factory.Settings()
	}
	if err := fc.Table.Without(filterKeys...).Decode(settings); err != nil {
		return nil, err
	}
	instance, err := factory.New(fc, settings)
	if err == nil && instance == nil {
		err = fmt.Errorf("kind %q made no filter", fc.Kind)
	}
	if err != nil {
		var placed *strict.Error
		var several strict.Errors
		if errors.As(err, &placed) || errors.As(err, &several) {
			return nil, err
		}
		return nil, fmt.Errorf("filter %q: %w", fc.Name, err)
	}
	return instance, nil
}

// connectParts gives each listener its upstream and filters.
func (fw *Firewall) connectParts() {
	for _, uc := range fw.config.Upstreams {
		fw.upstreams = append(fw.upstreams, &upstream{config: uc})
	}
	for _, lc := range fw.config.Listeners {
		l := &listener{fw: fw, config: lc, upstream: fw.upstreams[fw.config.upstream(lc.Upstream)]}
		for _, name := range lc.Filters {
			i := slices.IndexFunc(fw.filters, func(f *filter) bool { return f.config.Name == name })
			fw.filters[i].used = true
			l.filters = append(l.filters, fw.filters[i])
		}
		fw.listeners = append(fw.listeners, l)
	}
}

// Start opens the completion port and the listeners, makes the filters ready,
// and accepts connections from then on. After an error nothing is left open.
func (fw *Firewall) Start(ctx context.Context) error {
	fw.mu.Lock()
	defer fw.mu.Unlock()
	if fw.status != statusNew {
		return errors.New("a firewall starts once")
	}
	fw.status = statusRunning
	if err := fw.start(ctx); err != nil {
		fw.status = statusEnded
		return errors.Join(err, fw.stop(context.WithoutCancel(ctx)))
	}
	return nil
}

func (fw *Firewall) start(ctx context.Context) error {
	if err := fw.openPort(); err != nil { //nolint:contextcheck // the self-test of a port does not wait
		return err
	}
	for _, u := range fw.upstreams {
		if err := u.resolve(ctx, &fw.config); err != nil {
			return err
		}
	}
	for i, l := range fw.listeners {
		if err := l.open(fw.port.Workers()[i%len(fw.port.Workers())]); err != nil {
			return err
		}
	}
	for _, f := range fw.filters {
		if err := f.init(fw); err != nil {
			return fmt.Errorf("filter %q: %w", f.config.Name, err)
		}
	}
	for _, l := range fw.listeners {
		if err := l.start(); err != nil {
			return err
		}
	}
	return nil
}

// init calls FilterInit, unless no listener uses the filter; a panic in it is an
// error.
func (f *filter) init(fw *Firewall) (err error) {
	if !f.used {
		return nil
	}
	defer recovered(&err)
	f.begun = true
	f.mask, err = f.instance.FilterInit(fw)
	return err
}

// shutdown calls FilterShutdown; a panic in it is an error.
func (f *filter) shutdown(ctx context.Context) (err error) {
	s, ok := f.instance.(FilterShutdowner)
	if !ok || !f.begun {
		return nil
	}
	defer recovered(&err)
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	return s.FilterShutdown(ctx)
}

// recovered turns a panic into an error; it is deferred.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("it panicked: %v\n%s", r, debug.Stack())
	}
}

func (fw *Firewall) openPort() (err error) {
	s := fw.config.Service
	fw.port, err = completion.New(completion.Options{Workers: s.Workers, Backend: s.Backend, Logger: fw.logger})
	if err != nil {
		return err
	}
	fw.live = make([]workerLoad, len(fw.port.Workers()))
	for i := range fw.live {
		fw.live[i].connections = make(map[*Connection]struct{})
	}
	fw.published.Store(fw.port)
	fw.limit = int64(s.MaxConnections)
	if fw.limit == 0 {
		fw.limit = defaultConnectionLimit()
	}
	info := fw.port.Info()
	fw.logger.Info("completion port", "backend", info.Backend, "reason", info.Reason, "workers", info.Workers)
	return nil
}

// Run starts the firewall, waits for the end of ctx, and shuts it down, giving
// connections the configured time to finish.
func (fw *Firewall) Run(ctx context.Context) error {
	if err := fw.Start(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), fw.config.Service.Drain)
	defer cancel()
	return fw.Shutdown(drain)
}

// Shutdown stops accepting, lets the connections finish until ctx ends, resets
// those that are left, ends the filters and then the completion port.
func (fw *Firewall) Shutdown(ctx context.Context) error {
	fw.mu.Lock()
	defer fw.mu.Unlock()
	if fw.status != statusRunning {
		return nil
	}
	fw.status = statusEnded
	fw.logger.Info("shutting down", "connections", fw.open.Load())
	for _, l := range fw.listeners {
		l.close()
	}
	fw.closing.Store(true)
	fw.checkDrained()
	select {
	case <-fw.drained:
	case <-ctx.Done():
		fw.resetAll()
	}
	return fw.stop(context.WithoutCancel(ctx))
}

const (
	// terminationLimit bounds how long filters may keep a connection that has ended.
	terminationLimit = 30 * time.Second
	// stopLimit bounds each step of the end of the service.
	stopLimit = 2 * terminationLimit
)

// stop ends what start began, in reverse order.
func (fw *Firewall) stop(ctx context.Context) error {
	if fw.port == nil {
		return nil
	}
	for _, l := range fw.listeners {
		l.close()
	}
	var errs []error
	for _, f := range slices.Backward(fw.filters) {
		if err := f.shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("filter %q: %w", f.config.Name, err))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	return errors.Join(append(errs, fw.port.Shutdown(ctx))...)
}

// resetAll resets the connections that are left and waits for their end.
func (fw *Firewall) resetAll() {
	for i, w := range fw.port.Workers() {
		_ = w.Post(func() { // the port is open
			for c := range fw.live[i].connections {
				c.abort()
			}
		})
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	select {
	case <-fw.drained:
	case <-ctx.Done():
		fw.logger.Error("connections did not end", "connections", fw.open.Load())
	}
}

// Port returns the completion port; nil before Start.
func (fw *Firewall) Port() *completion.Port { return fw.published.Load() }

// Logger returns the firewall's logger.
func (fw *Firewall) Logger() *slog.Logger { return fw.logger }

// Connections returns how many connections there are.
func (fw *Firewall) Connections() int { return int(fw.open.Load()) }

// ListenAddress returns the address that a listener listens on, which tells the
// port if the configuration said 0. It is the zero Address before Start.
func (fw *Firewall) ListenAddress(name string) completion.Address {
	for _, l := range fw.listeners {
		if l.config.Name != name {
			continue
		}
		if address := l.address.Load(); address != nil {
			return *address
		}
	}
	return completion.Address{}
}

// admit makes an accepted connection a connection of a worker. It runs there.
func (fw *Firewall) admit(l *listener, w *completion.Worker, a completion.Accepted) {
	socket, err := w.Attach(a)
	if err != nil {
		fw.logger.Warn("an accepted connection was lost", "listener", l.config.Name, "client", a.Remote.String(), "error", err)
		fw.uncount(w)
		return
	}
	c := &Connection{
		fw: fw, worker: w, id: fw.lastID.Add(1), listener: l, client: a.Remote, internal: socket,
		session: fw.sessions.open(fw, a.Remote.Addr()),
	}
	fw.live[w.Index()].connections[c] = struct{}{}
	c.begin()
}

// closed counts a connection out.
func (fw *Firewall) closed(c *Connection) {
	delete(fw.live[c.worker.Index()].connections, c)
	fw.uncount(c.worker)
}

func (fw *Firewall) count(w *completion.Worker) {
	fw.open.Add(1)
	fw.live[w.Index()].count.Add(1)
}

func (fw *Firewall) uncount(w *completion.Worker) {
	fw.live[w.Index()].count.Add(-1)
	if fw.open.Add(-1) == fw.limit-1 {
		for _, l := range fw.listeners {
			l.resume()
		}
	}
	if fw.closing.Load() {
		fw.checkDrained()
	}
}

// checkDrained notes the end of the last connection after the listeners.
func (fw *Firewall) checkDrained() {
	if fw.open.Load() == 0 {
		fw.drainedOnce.Do(func() { close(fw.drained) })
	}
}

// leastLoaded returns the worker with the fewest connections; w if it has as few.
func (fw *Firewall) leastLoaded(w *completion.Worker) *completion.Worker {
	best, least := w, fw.live[w.Index()].count.Load()
	for i, other := range fw.port.Workers() {
		if n := fw.live[i].count.Load(); n < least {
			best, least = other, n
		}
	}
	return best
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
