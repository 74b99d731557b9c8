package framework

import (
	"fmt"
	"maps"
	"slices"

	"fwx/framework/strict"
)

// names are the names in use for one kind of part.
type names map[string]bool

// add reports a name that is empty or that an earlier part has already.
func (n names) add(check strict.Checker, what, name string) {
	check.Text("name", name)
	if n[name] {
		check.Errorf("name", "there are two %ss %q", what, name)
	}
	if name != "" {
		n[name] = true
	}
}

// check reports what is wrong with the settings, apart from those of filters.
func (c *Config) check(check strict.Checker) {
	c.Service.check(check.Sub("service", c.Service.Table))
	c.checkAdmin(check.Sub("admin", c.Admin.Table))
	upstreams, filters, listeners := make(names), make(names), make(names)
	for i := range c.Upstreams {
		u := &c.Upstreams[i]
		part := check.Sub(u.part(), u.Table)
		upstreams.add(part, "upstream", u.Name)
		c.checkUpstream(part, u)
	}
	for i := range c.Filters {
		f := &c.Filters[i]
		filters.add(check.Sub(f.part(), f.Table), "filter", f.Name)
	}
	if len(c.Listeners) == 0 {
		check.Errorf("", "the configuration has no [[listener]]: there is nothing to do")
	}
	for i := range c.Listeners {
		l := &c.Listeners[i]
		part := check.Sub(l.part(), l.Table)
		listeners.add(part, "listener", l.Name)
		c.checkListener(part, l, upstreams, filters)
		c.checkSpoken(check, l)
	}
	c.checkPlaces(check)
}

// The parts of a configuration as mistakes and the log name them.
func (u *UpstreamConfig) part() string { return fmt.Sprintf("upstream %q", u.Name) }
func (c FilterConfig) part() string    { return fmt.Sprintf("filter %q", c.Name) }
func (l *ListenerConfig) part() string { return fmt.Sprintf("listener %q", l.Name) }

// checkSpoken reports what the upstreams of a listener with protocol "http" offer by
// ALPN besides HTTP/1.1. Those that only filters choose are looked at by the handshake.
func (c *Config) checkSpoken(check strict.Checker, l *ListenerConfig) {
	if l.Protocol != protocolHTTP {
		return
	}
	names := []string{l.Upstream}
	for i := range l.Routes {
		names = append(names, l.Routes[i].Upstream)
	}
	for i := range c.Upstreams {
		if u := &c.Upstreams[i]; u.TLS != nil && slices.Contains(names, u.Name) {
			why := fmt.Sprintf("listener %q has protocol = %q, which is %q", l.Name, protocolHTTP, alpnHTTP)
			checkSpokenByHTTP(check.Sub(u.part(), u.Table).Sub("tls", u.TLS.Table), u.TLS.ALPN, why)
		}
	}
}

const (
	// maxCount and maxWorkers are bounds that are beyond any sense.
	maxCount   = 10_000_000
	maxWorkers = 4096
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
