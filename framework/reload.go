package framework

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"fwx/framework/strict"
)

// maxReplaced is how many replaced generations may still have connections.
const maxReplaced = 16

// Reload replaces the configuration of a running firewall. A listener for which nothing has
// changed, including its filters and upstreams, keeps its connections. The connections of
// other listeners keep the filters, servers and time-outs that they began with until they end;
// new connections use the new configuration. No connection is refused or lost in between: a
// listener whose address stays keeps its socket.
//
// The configuration is checked as by New, the names of its servers are looked up, new
// listeners are opened and new filters made ready before anything is switched. After an error
// the old configuration stays in force, as if nothing had happened.
//
// A filter that is the same in both configurations is carried over with its state: a filter of
// a kind if its name, settings and files are the same, a FilterConfig.Filter if the value is.
// FilterInit is called for the others. A filter that is replaced is retired, see Retirer, and
// its FilterShutdown is called when the last connection that it sees has ended. A client's
// Session continues.
//
// Reload returns an error if the workers, the backend, the admin listener or the store are to
// change. Config.Logger, OnStatus and OnAlert are ignored. Up to sixteen replaced generations
// may have connections; beyond that, those of the oldest are reset, so that clients cannot
// block reconfiguration. Reload returns ErrNotRunning before Start and after Shutdown.
// Concurrent calls wait for each other, for Start and Shutdown, and for the FilterShutdown of
// what was replaced. Reload returns ErrBadContext where it would wait for itself: on a worker,
// in a filter's factory, FilterInit, Retire, Detach or FilterShutdown, in Config.OnStatus, and
// on a goroutine that one of these has started while it runs.
func (fw *Firewall) Reload(ctx context.Context, config Config) error {
	if err := fw.turn.take(fw.Port()); err != nil {
		return err
	}
	defer fw.turn.give()
	if fw.status != statusRunning {
		return ErrNotRunning
	}
	old := fw.current.Load()
	g, err := newGeneration(fw, config, old)
	if err != nil {
		return err
	}
	if err = g.prepare(ctx); err == nil {
		err = fw.resetOldest(ctx)
	}
	if err != nil {
		return errors.Join(err, g.discard(context.WithoutCancel(ctx)))
	}
	fw.generations = append(fw.generations, g)
	g.begin() //nolint:contextcheck // what connections cause ends by itself
	fw.logger.Info("reloaded", "generation", g.number, "changed", g.changes(old))
	fw.retire(old) //nolint:contextcheck // it ends by itself
	return nil
}

// Reopen makes all filters check whether the files that they keep open, such as logs, have
// been renamed or removed, and open them again; this includes filters of replaced generations
// that still have connections. A program calls it upon SIGHUP, in addition to Reload. Each
// filter does so in its own time. It returns ErrBadContext where Reload does, for the same
// reason.
func (fw *Firewall) Reopen() error {
	if err := fw.turn.take(fw.Port()); err != nil {
		return err
	}
	defer fw.turn.give()
	told := make(map[*instance]bool)
	for _, g := range fw.generations {
		for _, f := range g.filters {
			if r, ok := f.Filter.(Reopener); ok && f.begun && !told[f.instance] {
				told[f.instance] = true
				r.Reopen()
			}
		}
	}
	return nil
}

// retire lets a generation that was replaced end with its last connection.
func (fw *Firewall) retire(old *generation) {
	g := fw.current.Load()
	for _, l := range old.listeners {
		l.replaced.Store(!slices.Contains(g.listeners, l))
		if !g.accepts(l.acceptor) {
			l.acceptor.close()
		}
	}
	for _, u := range old.upstreams {
		if !slices.Contains(g.upstreams, u) {
			u.retire(fw)
		}
		if !g.balances(u.balancer) {
			u.balancer.Retire()
		}
	}
	gone := false
	for _, f := range old.filters {
		if g.has(f.instance) {
			continue
		}
		gone = true
		if err := f.retire(fw); err != nil {
			fw.logger.Error("a filter that is replaced", "filter", f.config.Name, "error", err)
		}
	}
	if gone {
		_ = fw.turn.call(fw.sessions.sweep) // it has no error
	}
	for _, l := range old.listeners {
		if l.replaced.Load() {
			l.leave()
		} else {
			old.leave()
		}
	}
}

// resetOldest resets the connections of the oldest generations if there are too many for
// another one.
func (fw *Firewall) resetOldest(ctx context.Context) error {
	for _, g := range slices.Clone(fw.generations) {
		if g.users.Load() == 0 {
			fw.endGeneration(ctx, g)
		}
	}
	for len(fw.generations) > maxReplaced {
		oldest := fw.generations[0]
		fw.logger.Warn("too many replaced configurations have connections; those of the oldest are reset",
			"generation", oldest.number, "connections", oldest.connections())
		if err := fw.reset(ctx, errSuperseded, oldest); err != nil {
			return fmt.Errorf("too many replaced configurations have connections, and those of generation %d do not end: %w", oldest.number, err)
		}
		fw.endGeneration(ctx, oldest)
	}
	return nil
}

// endDrained ends a generation that has drained, unless that has been done.
func (fw *Firewall) endDrained(g *generation) {
	fw.turn.mu.Lock()
	defer fw.turn.give()
	fw.endGeneration(context.Background(), g)
}

// endGeneration ends a generation, once.
func (fw *Firewall) endGeneration(ctx context.Context, g *generation) {
	i := slices.Index(fw.generations, g)
	if i < 0 {
		return
	}
	fw.generations = slices.Delete(fw.generations, i, i+1)
	if err := g.end(context.WithoutCancel(ctx)); err != nil {
		fw.logger.Error("a replaced configuration has ended", "generation", g.number, "error", err)
		return
	}
	fw.logger.Debug("a replaced configuration has ended", "generation", g.number)
}

// checkChange reports differences to the configuration in force that a reload cannot apply.
func (c *Config) checkChange(current *Config, check strict.Checker) {
	service := check.Sub("service", c.Service.Table)
	if now := current.Service.Workers; c.Service.Workers != now {
		service.Errorf("workers", "cannot be changed from %d while the service runs: restart it", now)
	}
	if now := current.Service.Backend; c.Service.Backend != now {
		service.Errorf("backend", "cannot be changed from %q while the service runs: restart it", now)
	}
	if !strict.Equal(c.Admin, current.Admin) {
		check.Sub("admin", c.Admin.Table).Errorf("listen", "the admin listener cannot be changed while the service runs: restart it")
	}
	if !c.Store.same(current.Store) {
		check.Sub("store", c.Store.Table).Errorf("kind", "the store cannot be changed while the service runs: restart it")
	}
}

// inheritFilters takes over the filters that have not changed.
func (g *generation) inheritFilters(current *generation) {
	for _, f := range g.filters {
		before := current.filter(f.config.Name)
		if f.config.Filter == nil && f.used && before != nil && before.begun && f.config.same(before.config) && !before.stale() {
			f.instance = before.instance
		}
	}
}

// same reports whether two filters are made from the same.
func (fc FilterConfig) same(other FilterConfig) bool {
	return fc.Kind == other.Kind && fc.Class == other.Class && fc.Dir == other.Dir && strict.Equal(fc.Table, other.Table)
}

// inheritListeners takes over the listeners that have not changed, with their connections.
func (g *generation) inheritListeners(current *generation) {
	if g.config.Dir != current.config.Dir {
		return
	}
	for i, l := range g.listeners {
		for _, before := range current.listeners {
			if l.same(before) {
				g.listeners[i] = before
			}
		}
	}
}

// same reports whether two listeners do the same with their clients.
func (l *listener) same(other *listener) bool {
	return strict.Equal(l.config, other.config) &&
		slices.Equal(l.tls.Files(), other.tls.Files()) &&
		slices.EqualFunc(l.filters, other.filters, (*filter).same) &&
		l.upstream == other.upstream &&
		slices.EqualFunc(l.routes, other.routes, func(a, b *route) bool { return a.upstream == b.upstream })
}

// same reports whether two filters do the same with their connections.
func (f *filter) same(other *filter) bool {
	return f.instance == other.instance && f.config.Class == other.config.Class && f.config.Name == other.config.Name
}

// same reports whether two upstreams have the same settings, apart from what
// balance.Upstream.Same compares.
func (u UpstreamConfig) same(other UpstreamConfig) bool {
	return strict.Equal(u.withoutServers(), other.withoutServers())
}

func (u UpstreamConfig) withoutServers() UpstreamConfig {
	u.Servers, u.Server, u.Check, u.Eject = nil, nil, nil, nil
	return u
}

// inheritSockets takes over the sockets of the listeners whose address stays. Listeners with
// the same name come first, because several may have the same address if the port is 0.
func (g *generation) inheritSockets(current *generation) {
	for _, byName := range []bool{true, false} {
		for _, l := range g.listeners {
			for _, before := range current.listeners {
				if l.acceptor == nil && !g.accepts(before.acceptor) && l.sameAddress(before) && (!byName || l.config.Name == before.config.Name) {
					l.take(before.acceptor)
				}
			}
		}
	}
}

func (l *listener) sameAddress(before *listener) bool {
	address, err := l.wanted()
	return err == nil && address == before.acceptor.address
}

// changes names what differs from an earlier generation.
func (g *generation) changes(old *generation) string {
	var list []string
	if a, b := old.config.Service, g.config.Service; !strict.Equal(a, b) {
		list = append(list, "service")
	}
	list = append(list, differences("filter", old.filters, g.filters,
		func(f *filter) string { return f.config.Name },
		func(a, b *filter) bool {
			return a.instance == b.instance && a.config.Class == b.config.Class || !a.used && !b.used && a.config.same(b.config)
		})...)
	list = append(list, differences("upstream", old.upstreams, g.upstreams,
		func(u *upstream) string { return u.config.Name },
		func(a, b *upstream) bool {
			return a.balancer == b.balancer && a.config.same(b.config)
		})...)
	list = append(list, differences("listener", old.config.Listeners, g.config.Listeners,
		func(l ListenerConfig) string { return l.Name }, strict.Equal[ListenerConfig])...)
	list = append(list, g.changedCertificates(old)...)
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

// differences names the parts of one sort that are new, changed or gone.
func differences[T any](what string, old, current []T, name func(T) string, same func(a, b T) bool) (list []string) {
	find := func(parts []T, wanted T) int {
		return slices.IndexFunc(parts, func(t T) bool { return name(t) == name(wanted) })
	}
	for _, part := range current {
		if i := find(old, part); i < 0 {
			list = append(list, what+" "+name(part)+" (new)")
		} else if !same(old[i], part) {
			list = append(list, what+" "+name(part))
		}
	}
	for _, part := range old {
		if find(current, part) < 0 {
			list = append(list, what+" "+name(part)+" (gone)")
		}
	}
	return list
}
