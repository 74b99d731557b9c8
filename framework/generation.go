package framework

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"fwx/framework/internal/certs"
	"fwx/framework/strict"
	"fwx/framework/wire/coding"
)

// generation is a configuration in force, with everything made from it. A connection keeps the
// generation that it began with. Fields that are set here never change, so all workers may
// read them.
type generation struct {
	fw        *Firewall
	number    int
	config    Config
	upstreams []*upstream
	filters   []*filter
	listeners []*listener

	listenerTLS []*certs.Server // same order as config.Listeners; nil: no TLS
	upstreamTLS []*certs.Client

	opened []*acceptor // acceptors that prepare has opened
	begun  []*filter   // filters that prepare has started

	users   atomic.Int64  // number of listeners that have connections or are in force
	drained chan struct{} // closed when users is 0
}

// newGeneration checks a configuration and makes a generation from it. The generation takes
// over what is the same in the current one, which is nil at the start. Nothing is opened or
// started. All mistakes in the configuration are returned as one error.
func newGeneration(fw *Firewall, config Config, current *generation) (*generation, error) {
	config.Upstreams, config.Filters, config.Listeners = slices.Clone(config.Upstreams), slices.Clone(config.Filters), slices.Clone(config.Listeners)
	config.Codings = coding.Standard().With(config.Codings)
	g := &generation{fw: fw, number: 1, config: config, drained: make(chan struct{})}
	mistakes := slices.Clone(config.mistakes)
	check := strict.NewChecker(&mistakes)
	g.config.check(check)
	if current != nil {
		g.number = current.number + 1
		g.config.checkChange(&current.config, check)
	} else {
		fw.store = g.config.makeStore(check)
	}
	g.makeFilters(check)
	g.makeTLS(current, check)
	if err := mistakes.Err(); err != nil {
		return nil, err
	}
	g.makeUpstreams(current)
	g.connectParts()
	if current != nil {
		g.inheritFilters(current)
		g.inheritListeners(current)
		g.inheritSockets(current)
	}
	g.users.Store(int64(len(g.listeners)))
	return g, nil
}

func (g *generation) makeFilters(check strict.Checker) {
	for _, fc := range g.config.Filters {
		if fc.Dir == "" {
			fc.Dir = g.config.Dir
		}
		f := &filter{config: fc}
		var err error
		if fc.Filter != nil {
			f.instance, err = g.given(fc)
		} else {
			f.instance = &instance{}
			err = g.fw.turn.call(func() (err error) {
				f.instance.Filter, err = g.fw.registry.make(fc, check)
				return err
			})
		}
		check.Add(err)
		g.filters = append(g.filters, f)
	}
}

// given returns the instance of a filter that a host program has made. The instance may exist
// already: under another name in this generation, or in the current one.
func (g *generation) given(fc FilterConfig) (*instance, error) {
	all := append(slices.Clone(g.fw.generations), g)
	for i, other := range slices.Backward(all) {
		for _, f := range other.filters {
			switch {
			case !f.is(fc.Filter):
			case f.begun && i < len(all)-2:
				return nil, fmt.Errorf("filter %q: the same Filter was replaced before and still has connections: give a new one", fc.Name)
			default:
				return f.instance, nil
			}
		}
	}
	return &instance{Filter: fc.Filter}, nil
}

// connectParts gives each listener its upstream and filters.
func (g *generation) connectParts() {
	for i, lc := range g.config.Listeners {
		l := newListener(g, lc)
		l.upstream, l.tls = g.upstreams[g.config.upstream(lc.Upstream)], g.listenerTLS[i]
		for _, name := range lc.Filters {
			f := g.filter(name)
			f.used = true
			l.filters = append(l.filters, f)
		}
		if lc.Protocol == protocolHTTP {
			l.http = &filter{instance: &instance{}, config: FilterConfig{Name: protocolHTTP}}
			for _, rc := range lc.Routes {
				l.routes = append(l.routes, g.makeRoute(rc))
			}
		}
		g.listeners = append(g.listeners, l)
	}
}

// filter returns the filter with a name; nil if there is none.
func (g *generation) filter(name string) *filter {
	i := slices.IndexFunc(g.filters, func(f *filter) bool { return f.config.Name == name })
	if i < 0 {
		return nil
	}
	return g.filters[i]
}

// has reports whether a filter belongs to the generation.
func (g *generation) has(i *instance) bool {
	return slices.ContainsFunc(g.filters, func(f *filter) bool { return f.instance == i })
}

// accepts reports whether an acceptor belongs to a listener of the generation.
func (g *generation) accepts(a *acceptor) bool {
	return slices.ContainsFunc(g.listeners, func(l *listener) bool { return l.acceptor == a })
}

// prepare opens and starts everything the generation needs and does not have yet, short of
// accepting connections. After an error, discard undoes what was done.
func (g *generation) prepare(ctx context.Context) error {
	if err := g.makeMetrics(); err != nil {
		return err
	}
	for _, l := range g.listeners {
		if l.carried(g) {
			continue
		}
		if err := l.makeSpool(); err != nil {
			return err
		}
	}
	if err := g.resolve(ctx); err != nil {
		return err
	}
	if err := g.openListeners(ctx); err != nil {
		return err
	}
	return g.initFilters(ctx)
}

func (g *generation) openListeners(ctx context.Context) error {
	workers := g.fw.port.Workers()
	for i, l := range g.listeners {
		if l.acceptor != nil { // taken over from the previous generation
			continue
		}
		if err := l.open(ctx, workers[i%len(workers)]); err != nil {
			return err
		}
		g.opened = append(g.opened, l.acceptor)
	}
	return nil
}

func (g *generation) initFilters(ctx context.Context) error {
	for _, f := range g.filters {
		if err := ctx.Err(); err != nil {
			return err
		}
		begun, err := f.init(g.fw)
		if begun {
			g.begun = append(g.begun, f)
		}
		if err != nil {
			return fmt.Errorf("filter %q: %w", f.config.Name, err)
		}
	}
	return nil
}

// discard ends what prepare has opened and started.
func (g *generation) discard(ctx context.Context) error {
	for _, a := range g.opened {
		a.close()
	}
	return g.shutdown(ctx, g.begun)
}

// shutdown calls FilterShutdown of filters, in reverse order.
func (g *generation) shutdown(ctx context.Context, filters []*filter) error {
	var errs []error
	for _, f := range slices.Backward(filters) {
		errs = append(errs, f.shutdown(ctx, g.fw))
	}
	return errors.Join(errs...)
}

// begin makes new connections use the generation.
func (g *generation) begin() {
	for _, f := range g.filters {
		f.uses++
	}
	fw := g.fw
	fw.limit.Store(g.config.Service.limit())
	g.beginBalancers()
	before := fw.current.Swap(g)
	for _, l := range g.listeners {
		if l.carried(g) {
			l.generation.Store(g)
			continue
		}
		if !before.accepts(l.acceptor) || before == g {
			fw.logger.Info("listening", "listener", l.config.Name, "address", l.address.Load().String(),
				"protocol", l.config.Protocol, "upstream", l.config.Upstream, "filters", l.config.Filters)
		}
		l.acceptor.serve(l)
	}
}

// end ends the filters that no other generation uses. No connection uses them.
func (g *generation) end(ctx context.Context) error {
	var last []*filter
	for _, f := range g.filters {
		if f.uses--; f.uses == 0 {
			last = append(last, f)
		}
	}
	return g.shutdown(ctx, last)
}

// connections returns how many connections still use a generation that was replaced.
func (g *generation) connections() (n int64) {
	for _, l := range g.listeners {
		if !l.carried(g) {
			n += l.users.Load()
		}
	}
	return n
}

// leave notes that a listener no longer uses the generation. With the last one the generation
// has drained.
func (g *generation) leave() {
	if g.users.Add(-1) == 0 {
		close(g.drained)
		g.fw.ending.Go(func() { g.fw.endDrained(g) })
	}
}
