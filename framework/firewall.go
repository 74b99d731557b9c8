package framework

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"fwx/framework/completion"
	"fwx/framework/metrics"
	"fwx/framework/store"
	"fwx/framework/strict"
)

// Firewall is the service that a host program makes and runs (IFWXFirewall): the generations
// of its configuration, the clients' sessions, and the completion port on which everything
// runs.
type Firewall struct {
	registry  *Registry
	logger    *slog.Logger
	onStatus  func(ServiceStatus)
	alerts    alertList
	port      *completion.Port
	published atomic.Pointer[completion.Port] // port, for goroutines other than that of Start
	current   atomic.Pointer[generation]      // the generation that new connections use
	sessions  sessionTable
	store     store.Store
	metrics   *metrics.Registry
	panics    atomic.Uint64 // number of panics in filters

	lastID   atomic.Uint64
	live     []workerLoad  // by worker
	open     atomic.Int64  // number of connections
	limit    atomic.Int64  // maximum number of connections
	idle     atomic.Int64  // number of idle connections to servers
	spare    atomic.Int64  // number of descriptors available for connections
	shedding atomic.Bool   // workers have been asked to close idle connections
	patience time.Duration // how long filters may hold a connection that has ended
	ready    atomic.Bool

	turn        turn // serializes Start, Reload, Shutdown and the end of a generation
	status      status
	generations []*generation  // generations that have not ended, oldest first
	ending      sync.WaitGroup // goroutines that end a generation
	closing     atomic.Bool    // Shutdown was called
	stopping    step           // the FilterShutdown in progress
}

type status uint8

const (
	statusNew status = iota
	statusRunning
	statusEnded
)

// New checks a configuration and makes a firewall from it. Nothing is opened or started. All
// mistakes in the configuration are returned as one error.
func New(config Config, registry *Registry) (*Firewall, error) {
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	fw := &Firewall{registry: registry, logger: config.Logger, onStatus: config.OnStatus, patience: terminationLimit}
	fw.alerts.tell = config.OnAlert
	fw.sessions.sessions = make(map[netip.Addr]*Session)
	g, err := newGeneration(fw, config, nil)
	if err != nil {
		return nil, err
	}
	fw.current.Store(g)
	return fw, nil
}

// Check returns mistakes that New cannot find and Start would: those that the filters used by
// listeners report without being started, see Checker, and paths where no unix socket can be
// created. It is called instead of Start.
func (fw *Firewall) Check(ctx context.Context) error {
	var mistakes strict.Errors
	g := fw.current.Load()
	g.config.checkPaths(strict.NewChecker(&mistakes))
	for _, f := range g.filters {
		if c, ok := f.Filter.(Checker); ok && f.used {
			err := c.Check(ctx)
			switch {
			case err == nil:
			case f.config.Table.IsZero():
				mistakes.Add(fmt.Errorf("filter %q would not start: %w", f.config.Name, err))
			default:
				mistakes.Add(f.config.Table.Errorf("", "%q would not start: %v", f.config.Name, err))
			}
		}
	}
	return mistakes.Err()
}

// Start opens the completion port and the listeners, makes the filters ready, and then accepts
// connections. After an error nothing is left open. It returns ErrBadContext where Reload
// does.
func (fw *Firewall) Start(ctx context.Context) error {
	if err := fw.turn.take(fw.Port()); err != nil {
		return err
	}
	defer fw.turn.give()
	if fw.status != statusNew {
		return errors.New("a firewall can be started only once")
	}
	fw.status = statusEnded
	g := fw.current.Load()
	if err := fw.openPort(g.config); err != nil { //nolint:contextcheck // what the end of a connection causes ends by itself
		return errors.Join(err, fw.store.Close())
	}
	if err := g.prepare(ctx); err != nil {
		ctx = context.WithoutCancel(ctx)
		return errors.Join(err, g.discard(ctx), fw.closePort(ctx), fw.store.Close())
	}
	fw.status = statusRunning
	fw.generations = append(fw.generations, g)
	g.begin() //nolint:contextcheck // what connections cause ends by itself
	fw.tell(ServiceStatus{State: StateRunning})
	fw.ready.Store(true)
	return nil
}

func (fw *Firewall) openPort(config Config) (err error) {
	open := config.OpenPort
	if open == nil {
		open = completion.New
	}
	fw.port, err = open(completion.Options{Workers: config.Service.Workers, Backend: config.Service.Backend, Logger: fw.logger})
	if err != nil {
		return err
	}
	fw.metrics = metrics.NewRegistry(len(fw.port.Workers()))
	fw.live = make([]workerLoad, len(fw.port.Workers()))
	for i := range fw.live {
		fw.live[i].connections = make(map[*Connection]struct{})
	}
	fw.spare.Store(2 * defaultConnectionLimit())
	fw.published.Store(fw.port)
	fw.watchShortages()
	info := fw.port.Info()
	fw.logger.Info("completion port", "backend", info.Backend, "reason", info.Reason, "workers", info.Workers)
	return nil
}

func (fw *Firewall) closePort(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	return fw.port.Shutdown(ctx)
}

// Run starts the firewall, waits until ctx ends, and stops it.
func (fw *Firewall) Run(ctx context.Context) error {
	if err := fw.Start(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return fw.Stop() //nolint:contextcheck // ctx has ended
}

// Stop is Shutdown with the configured time for connections to finish.
func (fw *Firewall) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), fw.Drain())
	defer cancel()
	return fw.Shutdown(ctx)
}

const (
	// terminationLimit bounds how long filters may hold a connection that has ended.
	terminationLimit = 30 * time.Second
	// stopLimit bounds each step of stopping the service.
	stopLimit = 2 * terminationLimit
)

// Shutdown stops accepting, lets connections finish until ctx ends, resets those that are
// left, ends the filters, and then closes the completion port. It returns ErrBadContext where
// Reload does.
func (fw *Firewall) Shutdown(ctx context.Context) error {
	if err := fw.turn.take(fw.Port()); err != nil {
		return err
	}
	defer fw.ending.Wait()
	defer fw.turn.give()
	if fw.status != statusRunning {
		return nil
	}
	fw.status = statusEnded
	fw.closing.Store(true)
	fw.ready.Store(false)
	fw.logger.Info("shutting down", "connections", fw.open.Load())
	fw.tell(ServiceStatus{StateStopping, timeLeft(ctx)})
	current := fw.current.Load()
	for _, l := range current.listeners {
		l.acceptor.close()
	}
	for _, l := range current.listeners {
		l.leave() //nolint:contextcheck // the generation ends below
	}
	fw.leaveIdle() //nolint:contextcheck // what it ends has none
	fw.drain(ctx)
	for _, u := range current.upstreams {
		u.balancer.Retire()
	}

	ctx = context.WithoutCancel(ctx)
	var errs []error
	for _, g := range fw.generations {
		errs = append(errs, g.end(ctx))
	}
	fw.generations = nil
	return errors.Join(append(errs, fw.closePort(ctx), fw.store.Close())...)
}

// leaveIdle ends the connections that are idle between requests.
func (fw *Firewall) leaveIdle() {
	for i, w := range fw.port.Workers() {
		_ = w.Post(func() { // the port is open
			for c := range fw.live[i].connections {
				if h := c.clientConn(); h != nil && !c.Ended() {
					h.drain()
				}
			}
		})
	}
}

// drain waits until all connections have ended, and resets those that are left when ctx ends.
func (fw *Firewall) drain(ctx context.Context) {
	for _, g := range fw.generations {
		select {
		case <-g.drained:
		case <-ctx.Done():
			if err := fw.reset(context.WithoutCancel(ctx), errShutDown, fw.generations...); err != nil {
				fw.logger.Error("connections did not end", "connections", fw.open.Load())
			}
			return
		}
	}
}

// Port returns the completion port; nil before Start.
func (fw *Firewall) Port() *completion.Port { return fw.published.Load() }

// Drain returns how long Stop lets connections finish.
func (fw *Firewall) Drain() time.Duration { return fw.current.Load().config.Service.Drain }

// Admin returns the settings of the admin listener, checked.
func (fw *Firewall) Admin() AdminConfig { return fw.current.Load().config.Admin }

// Store returns what filters share between workers, and with some kinds of store between
// gateways. It never blocks a worker.
func (fw *Firewall) Store() store.Store { return fw.store }

// Logger returns the firewall's logger.
func (fw *Firewall) Logger() *slog.Logger { return fw.logger }

// Ready reports whether the firewall accepts connections: Start has returned, and
// Shutdown has not been called.
func (fw *Firewall) Ready() bool { return fw.ready.Load() }

// Connections returns the number of connections.
func (fw *Firewall) Connections() int { return int(fw.open.Load()) }

// ListenAddress returns the address on which a listener listens, with the actual port if the
// configuration says 0. It is the zero Address before Start.
func (fw *Firewall) ListenAddress(name string) completion.Address {
	for _, l := range fw.current.Load().listeners {
		if l.config.Name != name {
			continue
		}
		if address := l.address.Load(); address != nil {
			return *address
		}
	}
	return completion.Address{}
}

// Files returns the files that the current configuration was made from, including those of its
// filters and certificates, for a program that watches them and calls Reload.
func (fw *Firewall) Files() (list []File) {
	g := fw.current.Load()
	for _, f := range g.filters {
		list = append(list, f.files()...)
	}
	for _, l := range g.listeners {
		list = append(list, l.tls.Files()...)
	}
	for _, u := range g.upstreams {
		list = append(list, u.tls.Files()...)
	}
	return list
}
